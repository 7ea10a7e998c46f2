/* What an attested guest asks for: secrets, and the epochs of volumes. Decided in the transaction that it is written in. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "keys/api/epoch.h"
#include "keys/api/limits.h"
#include "keys/broker/epoch.h"
#include "keys/broker/guest_calls.h"

/* ---- who asks ---- */

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
    if (!call_bearer(call->request, &bearer, err))
        return fail_with(err, ERR_DENIED, "neither an attested session nor a token: attest first");
    buffer_append(token, bearer);
    return true;
}

/* Tells the audit log why not, then fails as before; or fails because even that cannot be written. */
static FALLIBLE denial_audit(struct call *call, const struct audit_guest *guest, struct err *err)
{
    struct err why = *err;

    if (why.kind == ERR_DENIED || why.kind == ERR_NOT_FOUND || why.kind == ERR_CONFIG || why.kind == ERR_TIMEOUT || why.kind == ERR_LIMIT ||
        why.kind == ERR_UNSUPPORTED) {
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

/* ---- secrets ---- */

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

FALLIBLE resource_get(struct call *call, struct err *err)
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
    call->variant = "JweError";
    if (!jwe_takes(&a.ear.tee_key, err)) /* before a use is counted */
        return denial_audit(call, &a.guest, err);
    call->variant = "PluginInternalError";
    if (!value_take(call, keeper, &value, err)) {
        call->variant = err->kind == ERR_DENIED ? "PolicyDeny" : call->variant;
        call->status  = err->kind == ERR_LIMIT ? STATUS_BUSY : call->status; /* the heap for secrets is full for now */
        return denial_audit(call, &a.guest, err);
    }
    if (!audit_key_released(call->broker->store, call->request->now, &a.guest, call->rest, err))
        return false;
    memcpy(call->answer->evidence, a.ear.evidence, sizeof call->answer->evidence);
    call->answer->content_type = JSON_TYPE;
    call->answer->sealing      = sealing_new(&a.ear.tee_key, &value);
    return true;
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

FALLIBLE epoch_tell(struct call *call, struct err *err)
{
    AUTO(applicant) struct applicant a = { 0 };
    uint64_t                         epoch;

    if (!epoch_applicant(call, &a, err) || !epoch_get(call->broker->store, call->rest, call->request->now, &epoch, err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_printf(&call->answer->body, "{\"epoch\":%llu}", (unsigned long long) epoch);
    return true;
}

FALLIBLE epoch_take(struct call *call, struct err *err)
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
