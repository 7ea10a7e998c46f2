#include "keys/broker/routes.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/epoch.h"
#include "keys/api/limits.h"
#include "keys/broker/administration.h"
#include "keys/broker/epoch.h"
#include "keys/broker/reference_value.h"
#include "keys/jose/jcs.h"
#include "keys/jose/jwe.h"
#include "keys/jose/jwt.h"

enum { STATUS_OK = 200, STATUS_BAD = 400, STATUS_DENIED = 401, STATUS_FORBIDDEN = 403, STATUS_ABSENT = 404, STATUS_METHOD = 405, STATUS_LARGE = 413,
       STATUS_INTERNAL = 500, STATUS_BUSY = 503 };
enum { MINUTE = 60, REFUSALS_PER_MINUTE = 600, AUDIT_ENTRIES_AT_ONCE = 1000 };

void broker_answer_free(struct answer *answer)
{
    buffer_free(&answer->body);
    outside_job_free(answer->wanted);
    *answer = (struct answer){ 0 };
}

/* ---- the handshake ---- */

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

static FALLIBLE auth(struct call *call, struct err *err)
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

/* Judges evidence and makes its token; the session is spent with it. */
static FALLIBLE token_make(struct call *call, const struct challenge *challenge, const struct rcar_attestation *attestation,
                           struct buffer *token, struct err *err)
{
    AUTO(facts) struct facts                       facts    = { 0 };
    AUTO(json) struct json_object                 *evidence = NULL;
    AUTO(appraisal_result) struct appraisal_result result   = { 0 };
    struct broker                                 *broker   = call->broker;
    int64_t                                        now      = call->request->now;
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
    return ear_write(&broker->issuer, &content, token, err) &&
           store_session_add(broker->store, challenge->id, challenge->expires, buffer_bytes(token), err) &&
           audit_attested(broker->store, now, &guest, content.reason, err);
}

static FALLIBLE refusal_audit(struct call *call, const char *reason, struct err *err)
{
    struct broker *broker = call->broker;
    uint8_t        evidence[EVIDENCE_DIGEST_LEN];

    if (call->request->now - broker->refusals_since >= MINUTE) {
        broker->refusals_since = call->request->now;
        broker->n_refusals     = 0;
    }
    if (broker->n_refusals++ >= REFUSALS_PER_MINUTE)
        return true;
    sha256_of(call->request->body, evidence);
    return audit_attestation_refused(broker->store, call->request->now, BYTES_OF(evidence), reason, err);
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
            if (why.kind != ERR_UNTRUSTED || refusal_audit(call, why.text, err)) /* only a verdict on evidence is one */
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

static FALLIBLE attest(struct call *call, struct err *err)
{
    const char *session = call->request->session;

    if (!session || !challenge_id_is_valid(session))
        return fail_with(err, ERR_DENIED, "RCAR handshake Attest failed: no session cookie of ours");
    return attest_session(call, session, err) || context(err, "RCAR handshake Attest failed");
}

/* ---- resources ---- */

static FALLIBLE bearer_of(const struct request *request, struct bytes *token, struct err *err)
{
    static const char SCHEME[] = "Bearer ";

    if (!request->authorization || strncasecmp(request->authorization, SCHEME, sizeof SCHEME - 1) != 0)
        return fail_with(err, ERR_DENIED, "no Authorization: Bearer header");
    *token = bytes_of_text(request->authorization + sizeof SCHEME - 1);
    return true;
}

/* The token of the caller's session, else the one that it brings. */
static FALLIBLE token_find(struct call *call, struct buffer *token, struct err *err)
{
    const char  *session = call->request->session;
    struct bytes bearer;

    if (session && challenge_id_is_valid(session)) {
        if (store_session_token(call->broker->store, session, call->request->now, token, err))
            return true;
        if (err->kind != ERR_NOT_FOUND)
            return false;
    }
    if (!bearer_of(call->request, &bearer, err))
        return fail_with(err, ERR_DENIED, "neither an attested session nor a token: attest first");
    buffer_append(token, bearer);
    return true;
}

FALLIBLE call_path_check(const char *path, struct err *err)
{
    if (!rcar_path_is_valid(bytes_of_text(path)))
        return fail_with(err, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, letters, digits and _ - . only");
    return true;
}

/* Tells the audit log why not, then fails as before; or fails because even that cannot be written. */
static FALLIBLE denial_audit(struct call *call, const struct audit_guest *guest, struct err *err)
{
    struct err why = *err;

    if (why.kind == ERR_DENIED || why.kind == ERR_NOT_FOUND || why.kind == ERR_CONFIG || why.kind == ERR_TIMEOUT) {
        if (!audit_key_denied(call->broker->store, call->request->now, guest, call->rest, why.text, err))
            return false;
        *err = why;
    }
    return false;
}

/* A tenant may have an attestation policy of its own: for its resources, that one says what the evidence is worth. */
static FALLIBLE tenant_appraise(struct call *call, struct ear *ear, struct err *err)
{
    AUTO(appraisal_result) struct appraisal_result result = { 0 };
    struct broker                                 *broker = call->broker;
    char                                           tenant[KBS_PATH_SEGMENT_MAX + 1];
    struct json_object                            *submods, *cpu, *evidence;
    const char                                    *root;
    bool                                           has_own;

    (void) snprintf(tenant, sizeof tenant, "%.*s", (int) strcspn(call->rest, "/"), call->rest); /* of a valid path: fits */
    if (strcmp(tenant, APPRAISAL_POLICY_ID) == 0)
        return true; /* that name is the policy's for all */
    if (!appraisal_policy_is_stored(broker->store, tenant, "cpu", call->request->now, &has_own, err))
        return false;
    if (!has_own)
        return true;
    if (!json_get(ear->claims, "submods", json_type_object, &submods, err) || !json_get(submods, "cpu0", json_type_object, &cpu, err) ||
        !json_get(cpu, "ear.veraison.annotated-evidence", json_type_object, &evidence, err) || !json_get_text(cpu, "cloister.root", &root, err))
        return context(err, "token");

    struct appraisal_request request = { .store       = broker->store,
                                         .engine      = broker->engine,
                                         .id          = tenant,
                                         .tee_class   = "cpu",
                                         .tee         = ear->subject.tee,
                                         .measurement = ear->subject.measurement,
                                         .root        = root,
                                         .evidence    = evidence,
                                         .now         = call->request->now };

    if (!appraisal_policy_apply(&request, &result, err))
        return false;
    ear_reappraise(ear, &result, tenant);
    return true;
}

/* Not the guest's fault, and not its matter what exactly: the log has it. */
static FALLIBLE keeper_failed(struct call *call, const char *keeper, const struct err *why, struct err *err)
{
    log_error("external key store failed", "path=%s keeper=\"%s\" why=\"%s\"", LOG_PEER(bytes_of_text(call->rest)), keeper,
              LOG_PEER(bytes_of_text(why->text)));
    switch (why->kind) {
    case ERR_NOT_FOUND:
        return fail_with(err, ERR_NOT_FOUND, "there is no resource %.120s", call->rest);
    case ERR_TIMEOUT:
    case ERR_LIMIT:
    case ERR_OS:
        call->variant = "StorageBackendInitialization";
        call->status  = STATUS_BUSY;
        return fail_with(err, ERR_TIMEOUT, "%s, which keeps %.120s, does not give it now: ask again later", keeper, call->rest);
    case ERR_NONE:
    case ERR_MALFORMED:
    case ERR_UNSUPPORTED:
    case ERR_UNTRUSTED:
    case ERR_DENIED:
    case ERR_CONFIG:
    case ERR_BUG:
        break;
    }
    return fail_with(err, ERR_CONFIG, "%s, which keeps it, does not give it to this broker", keeper); /* for the audit log */
}

/* The secret itself: out of the store, or what an external one gave. */
static FALLIBLE value_take(struct call *call, const char *keeper, struct secret *out, struct err *err)
{
    struct outside_job *brought = call->request->brought;

    if (!keeper)
        return store_resource_take(call->broker->store, call->rest, out, err);
    if (!brought->is_had)
        return keeper_failed(call, keeper, &brought->err, err);
    *out = TAKE(brought->value);
    return true;
}

/* Who asks, and whether they may have the resource that the path names. */
struct applicant {
    struct ear         ear;
    char               policy[POLICY_VERSION_MAX];
    struct audit_guest guest;
};

static void auto_applicant(struct applicant *a)
{
    auto_ear(&a->ear);
}

/* With `begins` it is decided in the transaction that follows. */
static FALLIBLE applicant_admit(struct call *call, bool begins, struct applicant *a, struct err *err)
{
    AUTO(buffer) struct buffer token = { 0 };
    struct release_request     asked;

    call->variant = "InvalidRequestPath";
    if (!call_path_check(call->rest, err))
        return false;
    call->variant = "TokenNotFound";
    if (!token_find(call, &token, err))
        return false;
    call->variant = "TokenVerifierError";
    if (!ear_read(&call->broker->issuer, buffer_bytes(&token), call->request->now, &a->ear, err))
        return false;
    if (begins && !store_begin(call->broker->store, err))
        return false;
    a->guest = (struct audit_guest){ &a->ear.subject, BYTES_OF(a->ear.evidence), a->policy };
    call->variant = "PolicyEngineError";
    if (!tenant_appraise(call, &a->ear, err))
        return denial_audit(call, &a->guest, err);
    asked    = (struct release_request){ .store = call->broker->store, .engine = call->broker->engine, .subject = &a->ear.subject,
                                         .path = call->rest, .query = call->request->query, .claims = a->ear.claims, .now = call->request->now };
    call->variant = "PolicyDeny";
    if (release_decide(&asked, a->policy, err))
        return true;
    call->variant = err->kind == ERR_DENIED ? "PolicyDeny" : "PolicyEngineError";
    return denial_audit(call, &a->guest, err);
}

static FALLIBLE resource_get(struct call *call, struct err *err)
{
    const char                      *keeper = external_keeper(call->broker->external, call->rest);
    bool                             asks   = keeper && !call->request->brought; /* first of all, an external store */
    AUTO(applicant) struct applicant a      = { 0 };
    AUTO(secret) struct secret       value  = { 0 };

    if (!applicant_admit(call, !asks, &a, err))
        return false;
    if (asks) { /* it may have it: then it is decided again, by what holds when the secret is there */
        call->answer->wanted = outside_resource(call->broker->external, call->rest);
        return true;
    }
    call->variant = "PluginInternalError";
    if (!value_take(call, keeper, &value, err)) {
        call->variant = err->kind == ERR_DENIED ? "PolicyDeny" : call->variant;
        return denial_audit(call, &a.guest, err);
    }
    call->variant              = "JweError";
    call->answer->content_type = JSON_TYPE;
    return jwe_seal(&a.ear.tee_key, &value, &call->answer->body, err) &&
           audit_key_released(call->broker->store, call->request->now, &a.guest, call->rest, err);
}

/* ---- epochs of volumes: whoever may have the key may ask for its volume's, and advance it ---- */

/* Only of keys that are here, or that an external store is said to have. */
static FALLIBLE epoch_applicant(struct call *call, struct applicant *a, struct err *err)
{
    AUTO(secret) struct secret ignored = { 0 };

    if (!applicant_admit(call, true, a, err))
        return false;
    call->variant = "PluginInternalError";
    return external_keeper(call->broker->external, call->rest) || store_resource_get(call->broker->store, call->rest, &ignored, err) || denial_audit(call, &a->guest, err);
}

static FALLIBLE epoch_tell(struct call *call, struct err *err)
{
    AUTO(applicant) struct applicant a = { 0 };
    uint64_t                         epoch;

    if (!epoch_applicant(call, &a, err) || !epoch_get(call->broker->store, call->rest, call->request->now, &epoch, err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_printf(&call->answer->body, "{\"epoch\":%llu}", (unsigned long long) epoch);
    return true;
}

static FALLIBLE epoch_take(struct call *call, struct err *err)
{
    AUTO(json) struct json_object   *body = NULL;
    AUTO(applicant) struct applicant a    = { 0 };
    uint64_t                         epoch;

    if (!epoch_applicant(call, &a, err))
        return false;
    call->variant = "InvalidRequestPath";
    if (!json_read(call->request->body, KBS_BODY_MAX, &body, err) || !json_get_u64(body, "epoch", EPOCH_MAX - 1, &epoch, err))
        return false;
    call->variant = "PolicyDeny";
    if (!epoch_advance(call->broker->store, call->rest, epoch, call->request->now, err))
        return denial_audit(call, &a.guest, err);
    call->answer->content_type = JSON_TYPE;
    buffer_printf(&call->answer->body, "{\"epoch\":%llu}", (unsigned long long) epoch);
    return audit_epoch_advanced(call->broker->store, call->request->now, &a.guest, call->rest, epoch, err);
}

/* ---- the audit log ---- */

/* The committed tree's size and root, signed as a token is. */
static FALLIBLE audit_head(struct call *call, struct err *err)
{
    const struct merkle       *tree    = store_audit_tree(call->broker->store);
    AUTO(buffer) struct buffer payload = { 0 };
    struct merkle_hash         root;

    if (!caller_may(&call->caller, MAY_AUDIT, NULL, err) || !store_audit_refresh(call->broker->store, err))
        return false;
    root = merkle_root(tree);
    buffer_printf(&payload, "{\"iat\":%lld,\"size\":%llu,\"root\":\"", (long long) call->request->now,
                  (unsigned long long) tree->size);
    hex_append(&payload, BYTES_OF(root.at));
    buffer_append_text(&payload, "\"}");
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(&call->answer->body, "{\"head\":\"");
    if (!jwt_sign("", buffer_bytes(&payload), call->broker->issuer.key, &call->answer->body, err))
        return false;
    buffer_append_text(&call->answer->body, "\"}");
    return true;
}

/* Numbers with a slash between, as many as `n`; nothing else. */
static FALLIBLE numbers_read(const char *text, uint64_t *out, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        char *end = NULL;

        errno  = 0;
        out[i] = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != (i + 1 < n ? '/' : 0))
            return fail_with(err, ERR_MALFORMED, "the path does not end in %zu numbers", n);
        text = end + 1;
    }
    return true;
}

static void list_entry(void *owner, uint64_t seq, struct bytes entry)
{
    struct listing *l = owner;

    (void) seq;
    listing_separate(l);
    jcs_append_text(entry, l->out); /* as a text: its bytes are what was hashed */
}

static FALLIBLE audit_entries(struct call *call, struct err *err)
{
    struct listing l = { .out = &call->answer->body };
    uint64_t       size, from;

    if (!caller_may(&call->caller, MAY_AUDIT, NULL, err) || !numbers_read(call->rest, &from, 1, err) ||
        !store_audit_refresh(call->broker->store, err))
        return false;
    size                       = store_audit_tree(call->broker->store)->size;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(l.out, "{\"entries\":[");
    if (from < size && !store_audit_each(call->broker->store, from,
                                         size - from < AUDIT_ENTRIES_AT_ONCE ? size - from : AUDIT_ENTRIES_AT_ONCE,
                                         list_entry, &l, err))
        return false;
    buffer_append_text(l.out, "]}");
    return true;
}

/* audit/inclusion/INDEX/SIZE and audit/consistency/FIRST/SIZE */
static FALLIBLE audit_prove(struct call *call, bool is_inclusion, struct err *err)
{
    struct store       *store = call->broker->store;
    struct merkle_proof proof;
    uint64_t            n[2];

    if (!caller_may(&call->caller, MAY_AUDIT, NULL, err) || !numbers_read(call->rest, n, 2, err) ||
        !store_audit_refresh(store, err))
        return false;
    if (n[1] > store_audit_tree(store)->size ||
        (is_inclusion ? n[0] >= n[1] : n[0] == 0 || n[0] > n[1]))
        return fail_with(err, ERR_MALFORMED, "there is no such tree, or nothing of that number in it");
    if (!(is_inclusion ? store_prove_inclusion(store, n[0], n[1], &proof, err)
                       : store_prove_consistency(store, n[0], n[1], &proof, err)))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(&call->answer->body, "{\"hashes\":[");
    for (size_t i = 0; i < proof.n; i++) {
        buffer_append_text(&call->answer->body, i ? ",\"" : "\"");
        hex_append(&call->answer->body, BYTES_OF(proof.at[i].at));
        buffer_append_text(&call->answer->body, "\"");
    }
    buffer_append_text(&call->answer->body, "]}");
    return true;
}

static FALLIBLE audit_inclusion(struct call *call, struct err *err) { return audit_prove(call, true, err); }
static FALLIBLE audit_consistency(struct call *call, struct err *err) { return audit_prove(call, false, err); }

/* ---- public documents ---- */

static FALLIBLE health(struct call *call, struct err *err)
{
    (void) call;
    (void) err;
    return true;
}

static FALLIBLE jwks(struct call *call, struct err *err)
{
    call->answer->content_type = JSON_TYPE;
    return ear_write_jwks(&call->broker->issuer, &call->answer->body, err);
}

/* ---- the table ---- */

enum access { OPEN, ADMIN };
enum { BOTH = FACE_GUESTS | FACE_ADMINISTRATORS, GUESTS = FACE_GUESTS, ADMINS = FACE_ADMINISTRATORS };

/* A prefix ending in "/" takes the rest of the path as its argument; any other must be the whole path. */
static const struct route {
    const char *method, *prefix;
    unsigned    faces;
    enum access access;
    const char *variant;
    FALLIBLE  (*serve)(struct call *call, struct err *err);
} ROUTES[] = {
    { "GET", "/healthz", BOTH, OPEN, "HTTPFailed", health },
    { "GET", "/.well-known/jwks.json", BOTH, OPEN, "HTTPFailed", jwks },
    { "POST", KBS_PREFIX "/auth", GUESTS, OPEN, "AttestationError", auth },
    { "POST", KBS_PREFIX "/attest", GUESTS, OPEN, "AttestationError", attest },
    { "GET", KBS_PREFIX "/resource/", GUESTS, OPEN, "PluginInternalError", resource_get },
    { "GET", KBS_EPOCHS, GUESTS, OPEN, "PluginInternalError", epoch_tell },
    { "POST", KBS_EPOCHS, GUESTS, OPEN, "PluginInternalError", epoch_take },
    { "POST", KBS_PREFIX "/resource/", ADMINS, ADMIN, "PluginInternalError", resource_put },
    { "DELETE", KBS_PREFIX "/resource/", ADMINS, ADMIN, "PluginInternalError", resource_remove },
    { "GET", ADMIN_RESOURCES, ADMINS, ADMIN, "PluginInternalError", resource_list },
    { "GET", ADMIN_RESOURCES "/", ADMINS, ADMIN, "PluginInternalError", resource_read },
    { "GET", ADMIN_REFERENCES, ADMINS, ADMIN, "RvpsError", reference_list },
    { "POST", ADMIN_REFERENCES, ADMINS, ADMIN, "RvpsError", reference_add },
    { "DELETE", ADMIN_REFERENCES "/", ADMINS, ADMIN, "RvpsError", reference_remove },
    { "GET", ADMIN_DOCUMENTS "/", ADMINS, ADMIN, "PolicyEngineError", documents_list },
    { "POST", ADMIN_DOCUMENTS "/", ADMINS, ADMIN, "ParsePolicyError", document_put },
    { "DELETE", ADMIN_DOCUMENTS "/", ADMINS, ADMIN, "PolicyEngineError", document_remove },
    { "GET", ADMIN_HISTORY "/", ADMINS, ADMIN, "PolicyEngineError", document_history },
    { "POST", KBS_PREFIX "/attestation-policy", ADMINS, ADMIN, "ParsePolicyError", trustee_attestation_policy_set },
    { "POST", KBS_PREFIX "/resource-policy", ADMINS, ADMIN, "ParsePolicyError", trustee_resource_policy_set },
    { "GET", KBS_PREFIX "/resource-policy", ADMINS, ADMIN, "PolicyEngineError", trustee_resource_policy_list },
    { "POST", KBS_PREFIX "/reference-value", ADMINS, ADMIN, "RvpsError", trustee_reference_value_register },
    { "GET", KBS_PREFIX "/reference-value", ADMINS, ADMIN, "RvpsError", trustee_reference_values_get },
    { "GET", KBS_PREFIX "/reference-value/", ADMINS, ADMIN, "RvpsError", trustee_reference_value_get },
    { "GET", ADMIN_AUDIT, ADMINS, ADMIN, "PluginInternalError", audit_head },
    { "GET", ADMIN_AUDIT "/entries/", ADMINS, ADMIN, "PluginInternalError", audit_entries },
    { "GET", ADMIN_AUDIT "/inclusion/", ADMINS, ADMIN, "PluginInternalError", audit_inclusion },
    { "GET", ADMIN_AUDIT "/consistency/", ADMINS, ADMIN, "PluginInternalError", audit_consistency },
};

static bool prefix_fits(const struct route *route, const char *path)
{
    size_t len = strlen(route->prefix);

    return strncmp(route->prefix, path, len) == 0 && (route->prefix[len - 1] == '/' || path[len] == 0);
}

FALLIBLE call_audit(struct call *call, const char *action, const char *subject, struct err *err)
{
    return audit_administered(call->broker->store, call->request->now, caller_name(&call->caller), action, subject, err);
}

/* The certificate that TLS has verified counts first, then the token. */
static FALLIBLE administrator_find(struct call *call, struct err *err)
{
    const struct request *request = call->request;
    struct bytes          token;

    if (request->certificate)
        return administrators_by_certificate(call->broker->administrators, request->certificate, &call->caller, err) &&
               (!request->claims || json_read(bytes_of_text(request->claims), ADMIN_TOKEN_MAX, &call->caller.claims, err));
    return bearer_of(call->request, &token, err) &&
           administrators_by_token(call->broker->administrators, token, call->request->now, &call->caller, err);
}

/* What is malformed is 400 in our own administration only: the key protocol knows 401 for it. [KBS 10] */
static unsigned status_of(enum err_kind kind, bool is_ours, const char *variant)
{
    switch (kind) {
    case ERR_NOT_FOUND: return STATUS_ABSENT;
    case ERR_LIMIT:     return STATUS_LARGE;
    case ERR_OS:
    case ERR_CONFIG:
    case ERR_BUG:
    case ERR_NONE:      return STATUS_INTERNAL;
    case ERR_MALFORMED:
    case ERR_UNSUPPORTED:
        return strcmp(variant, "InvalidRequestPath") == 0 ? STATUS_ABSENT : is_ours ? STATUS_BAD : STATUS_DENIED;
    case ERR_UNTRUSTED:
    case ERR_DENIED:
    case ERR_TIMEOUT:   return STATUS_DENIED;
    }
    return STATUS_INTERNAL;
}

/* The error document of [KBS 10]. Our own troubles are told to the log, not to the peer. */
static void answer_error(struct answer *out, unsigned status, const char *variant, const char *why)
{
    buffer_free(&out->body);
    out->status       = status;
    out->content_type = NULL;
    out->session[0]   = 0;
    (void) snprintf(out->reason, sizeof out->reason, "%s", why); /* cut by design */
    buffer_printf(&out->body, "{\"type\":\"" KBS_ERROR_TYPE "%s\",\"detail\":", variant);
    jcs_append_text(bytes_of_text(status == STATUS_INTERNAL ? "internal error; the broker's log has the cause" : why),
                    &out->body);
    buffer_append_text(&out->body, "}");
}

void answer_not_durable(struct answer *out, const struct err *why)
{
    answer_error(out, STATUS_BUSY, "StorageBackendInitialization", "the store cannot write; nothing was changed");
    (void) snprintf(out->reason, sizeof out->reason, "%s", why->text); /* cut by design */
}

static void answer_failed(const struct route *route, struct call *call, const struct err *why)
{
    bool is_ours = strncmp(route->prefix, KBS_PREFIX, sizeof KBS_PREFIX - 1) != 0;
    char text[sizeof why->text + 32];

    if (call->broker->denies_with_403 && strcmp(call->variant, "PolicyDeny") == 0 && why->kind == ERR_DENIED) {
        (void) snprintf(text, sizeof text, "Access denied by policy: %s", why->text); /* fits */
        answer_error(call->answer, STATUS_FORBIDDEN, call->variant, text);
        return;
    }
    answer_error(call->answer, call->status ? call->status : status_of(why->kind, is_ours, call->variant), call->variant, why->text);
}

static void serve(const struct route *route, struct call *call)
{
    struct err err;
    bool       served;

    call->rest    = call->request->path + strlen(route->prefix);
    call->variant = route->variant;
    if (route->access == ADMIN && !administrator_find(call, &err)) {
        answer_error(call->answer, STATUS_DENIED, "AdminAuthAccess", err.text);
        return;
    }
    served = route->serve(call, &err);
    if (!served && (err.kind == ERR_OS || err.kind == ERR_BUG))
        store_spoil(call->broker->store); /* something may be half written */
    if (!served && route->access == ADMIN && err.kind == ERR_DENIED)
        call->variant = "AdminAuthAccess";
    if (!served)
        answer_failed(route, call, &err);
    auto_caller(&call->caller);
}

void broker_answer(struct broker *broker, const struct request *request, struct answer *out)
{
    struct call call       = { .broker = broker, .request = request, .answer = out };
    bool        path_known = false;

    out->status = STATUS_OK;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (!(ROUTES[i].faces & request->faces) || !prefix_fits(&ROUTES[i], request->path))
            continue;
        path_known = true;
        if (strcmp(ROUTES[i].method, request->method) == 0) {
            serve(&ROUTES[i], &call);
            return;
        }
    }
    if (path_known)
        answer_error(out, STATUS_METHOD, "InvalidRequestPath", "this path does not take that method");
    else if (strncmp(request->path, KBS_PREFIX "/", sizeof KBS_PREFIX) == 0)
        answer_error(out, STATUS_ABSENT, "PluginNotFound", "there is no such plugin");
    else
        answer_error(out, STATUS_ABSENT, "InvalidRequestPath", NO_SUCH_PATH);
}
