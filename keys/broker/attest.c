/*
 * Challenge and attestation. Evidence is judged while nothing is being written: what an attestation leaves behind waits
 * in its answer for broker_write, so that a lock of the store's is held for the writing alone.
 */
#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/broker/guest_calls.h"
#include "keys/broker/reference_value.h"

enum { MINUTE = 60, REFUSALS_PER_MINUTE = 600 };

/* ---- challenge ---- */

static FALLIBLE tee_requested(struct json_object *body, enum tee *tee, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };
    const char                *version, *name;

    if (!json_get_text(body, "version", &version, err))
        return false;
    if (strcmp(version, KBS_VERSION) != 0) {
        printable_append(&shown, bytes_of_text(version), 32);
        return fail_with(err, ERR_UNSUPPORTED, KBS_VERSION_MISMATCH ": expect =" KBS_VERSION " while the request is %s",
                         buffer_text(&shown));
    }
    if (!json_object_object_get_ex(body, "extra-params", NULL))
        return fail_with(err, ERR_MALFORMED, "\"extra-params\" is missing");
    return json_get_text(body, "tee", &name, err) && tee_by_name(name, tee, err);
}

FALLIBLE attest_challenge(struct call *call, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    struct challenge               challenge;
    enum tee                       tee;

    if (!json_read(call->request->body, KBS_BODY_MAX, &body, err) || !tee_requested(body, &tee, err) ||
        !challenge_make(&call->broker->challenge_key, (uint8_t) tee, call->request->now + call->broker->session_s,
                        &challenge, err))
        return context(err, "RCAR handshake Auth failed");
    buffer_printf(&call->answer->body, "{\"nonce\":\"%s\",\"extra-params\":\"\"}", challenge.nonce);
    call->answer->content_type = JSON_TYPE;
    memcpy(call->answer->session, challenge.id, sizeof challenge.id);
    call->answer->session_expires = challenge.expires;
    return true;
}

/* ---- appraisal ---- */

static FALLIBLE policy_apply(struct call *call, const struct facts *facts, struct json_object *evidence,
                             struct appraisal_result *out, struct err *err)
{
    struct appraisal_request request = { .store       = call->broker->store,
                                         .engine      = call->broker->engine,
                                         .tee_class   = "cpu", /* of every TEE that we appraise [evidence-formats 0] */
                                         .tee         = tee_name(facts->tee),
                                         .measurement = { facts->measurement, facts->measurement_len },
                                         .root        = endorser_name(facts->endorser),
                                         .evidence    = evidence,
                                         .now         = call->request->now };

    return appraisal_policy_apply(&request, out, err);
}

/* Why the guest that `token` speaks of would get nothing at all under the built-in rule: for its user's eyes. */
static FALLIBLE hopeless_check(struct call *call, const struct facts *facts, const struct appraisal_result *result,
                               struct err *reason, struct err *err)
{
    const char            *affirmed = result->status;
    struct release_subject subject  = { .tee         = tee_name(facts->tee),
                                        .measurement = { facts->measurement, facts->measurement_len },
                                        .initdata    = { facts->initdata, facts->initdata_len },
                                        .is_affirmed = strcmp(affirmed, "affirming") == 0 || strcmp(affirmed, "warning") == 0 };

    *reason = (struct err){ 0 };
    if (release_builtin(call->broker->store, &subject, NULL, call->request->now, reason) || reason->kind == ERR_DENIED)
        return true;
    *err = *reason;
    return false;
}

enum { TRUSTED_AKS_MAX = 256 };

/* The keys of TPMs that are registered as Trustee's policy names them: base64 of SubjectPublicKeyInfo. */
struct aks {
    struct buffer der[TRUSTED_AKS_MAX];
    struct bytes  at[TRUSTED_AKS_MAX];
    size_t        n;
};

static void auto_aks(struct aks *aks)
{
    for (size_t i = 0; i < aks->n; i++)
        buffer_free(&aks->der[i]);
}

static FALLIBLE aks_read(struct call *call, struct aks *out, struct err *err)
{
    AUTO(buffer) struct buffer     text = { 0 };
    AUTO(json) struct json_object *list = NULL;
    size_t                         n;

    if (!reference_value_find(call->broker->store, "trusted_aks", NULL, (struct bytes){ 0 }, call->request->now, &text, err))
        return false;
    if (text.len == 0)
        return true;
    if (!json_read(buffer_bytes(&text), DOCUMENT_TEXT_MAX, &list, err))
        return context(err, "trusted_aks");
    n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n && out->n < TRUSTED_AKS_MAX; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct err          ignored; /* what is no key is nobody's */

        if (!json_object_is_type(one, json_type_string) ||
            !base64_read(bytes_of_text(json_object_get_string(one)), BASE64_STANDARD, &out->der[out->n], &ignored))
            continue;
        out->at[out->n] = buffer_bytes(&out->der[out->n]);
        out->n++;
    }
    return true;
}

static FALLIBLE evidence_appraise(struct call *call, enum tee tee, const struct rcar_attestation *attestation,
                                  struct facts *out, struct err *err)
{
    AUTO(aks) struct aks     aks      = { 0 };
    AUTO(outside_job) struct outside_job *wanted = NULL;
    struct appraise_question question = { .tee = tee, .attestation = attestation, .now = call->request->now };

    if (tee == TEE_TPM && !aks_read(call, &aks, err))
        return false;
    question.trusted_aks   = aks.at;
    question.n_trusted_aks = aks.n;
    if (call->broker->sources && !call->request->brought)
        question.wanted = wanted = outside_collateral(call->broker->sources, call->request->now);
    if (appraise(call->broker->appraiser, &question, out, err))
        return true;
    if (wanted && wanted->n_documents > 0)
        call->wanting = TAKE(wanted);
    return false;
}

/* ---- attestation ---- */

static struct pending *pending_new(struct call *call)
{
    struct pending *pending = calloc(1, sizeof *pending);

    if (!pending)
        abort();
    call->answer->pending = pending; /* a call makes one at most */
    return pending;
}

/* Judges evidence and makes its token, with what is to be written before it may leave. */
static FALLIBLE token_make(struct call *call, const struct challenge *challenge, const struct rcar_attestation *attestation,
                           struct buffer *token, struct err *err)
{
    AUTO(facts) struct facts                       facts    = { 0 };
    AUTO(json) struct json_object                 *evidence = NULL;
    AUTO(appraisal_result) struct appraisal_result result   = { 0 };
    struct broker                                 *broker   = call->broker;
    int64_t                                        now      = call->request->now;
    struct pending                                *pending;
    struct err                                     reason;

    if (!evidence_appraise(call, (enum tee) challenge->tee, attestation, &facts, err) ||
        !ear_evidence(&facts, attestation, &evidence, err) || !policy_apply(call, &facts, evidence, &result, err) ||
        !hopeless_check(call, &facts, &result, &reason, err))
        return false;

    struct release_subject subject = { .tee         = tee_name(facts.tee),
                                       .measurement = { facts.measurement, facts.measurement_len },
                                       .initdata    = { facts.initdata, facts.initdata_len } };
    struct ear_content     content = { .facts = &facts, .annotated = evidence, .tee_key = &attestation->tee_key,
                                       .result = &result, .now = now,
                                       .reason  = reason.kind == ERR_DENIED ? reason.text : NULL,
                                       .expires = now + broker->session_s };
    struct audit_guest     guest   = { &subject, BYTES_OF(content.evidence), result.policy };

    sha256_of(call->request->body, content.evidence);
    if (!ear_write(&broker->issuer, &content, token, err))
        return false;
    pending          = pending_new(call);
    pending->expires = challenge->expires;
    memcpy(pending->session, challenge->id, sizeof challenge->id);
    buffer_append(&pending->token, buffer_bytes(token));
    audit_attested(now, &guest, content.reason, &pending->entry);
    return true;
}

static void refusal_audit(struct call *call, const char *reason)
{
    struct broker *broker = call->broker;
    uint8_t        evidence[EVIDENCE_DIGEST_LEN];

    if (call->request->now - broker->refusals_since >= MINUTE) {
        broker->refusals_since = call->request->now;
        broker->n_refusals     = 0;
    }
    if (broker->n_refusals++ >= REFUSALS_PER_MINUTE)
        return;
    sha256_of(call->request->body, evidence);
    audit_attestation_refused(call->request->now, BYTES_OF(evidence), reason, &pending_new(call)->entry);
}

static FALLIBLE attest_session(struct call *call, const char *session, struct err *err)
{
    AUTO(rcar_attestation) struct rcar_attestation attestation = { 0 };
    AUTO(buffer) struct buffer                     token       = { 0 };
    int64_t                                        expires     = call->request->now + call->broker->session_s;

    if (!rcar_attestation_read(call->request->body, &attestation, err))
        return false;
    if (!store_session_token(call->broker->store, session, call->request->now, &token, err)) {
        struct challenge challenge;
        struct err       why;

        if (err->kind != ERR_NOT_FOUND || !challenge_check(&call->broker->challenge_key, session, attestation.nonce,
                                                           call->request->now, &challenge, err))
            return false;
        if (call->request->brought)
            appraiser_bring(call->broker->appraiser, call->request->brought, call->request->now);
        if (!token_make(call, &challenge, &attestation, &token, &why)) {
            call->answer->wanted = TAKE(call->wanting);
            if (call->answer->wanted)
                return true;
            if (why.kind == ERR_UNTRUSTED) /* only a verdict on evidence is one */
                refusal_audit(call, why.text);
            *err = why;
            return false;
        }
        expires = challenge.expires;
    }
    buffer_append_text(&call->answer->body, "{\"token\":\"");
    buffer_append(&call->answer->body, buffer_bytes(&token));
    buffer_append_text(&call->answer->body, "\"}");
    call->answer->content_type = JSON_TYPE;
    memcpy(call->answer->session, session, CHALLENGE_ID_LEN + 1);
    call->answer->session_expires = expires;
    return true;
}

FALLIBLE attest_evidence(struct call *call, struct err *err)
{
    const char *session = call->request->session;

    if (!session || !challenge_id_is_valid(session))
        return fail_with(err, ERR_DENIED, "RCAR handshake Attest failed: no session cookie of ours");
    return attest_session(call, session, err) || context(err, "RCAR handshake Attest failed");
}
