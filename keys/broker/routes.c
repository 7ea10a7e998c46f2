#include "keys/broker/routes.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/epoch.h"
#include "keys/api/limits.h"
#include "keys/broker/administration.h"
#include "keys/broker/guest_calls.h"
#include "keys/jose/jcs.h"

static void pending_free(struct pending *pending)
{
    if (!pending)
        return;
    buffer_free(&pending->token);
    buffer_free(&pending->entry);
    free(pending);
}

DEFINE_AUTO(pending, struct pending *, pending_free)

void broker_answer_free(struct answer *answer)
{
    buffer_free(&answer->body);
    pending_free(answer->pending);
    sealing_free(answer->sealing);
    outside_job_free(answer->wanted);
    *answer = (struct answer){ 0 };
}

/* ---- what several routes do ---- */

FALLIBLE call_bearer(const struct request *request, struct bytes *token, struct err *err)
{
    static const char SCHEME[] = "Bearer ";

    if (!request->authorization || strncasecmp(request->authorization, SCHEME, sizeof SCHEME - 1) != 0)
        return fail_with(err, ERR_DENIED, "no Authorization: Bearer header");
    *token = bytes_of_text(request->authorization + sizeof SCHEME - 1);
    return true;
}

FALLIBLE call_path_check(const char *path, struct err *err)
{
    if (!rcar_path_is_valid(bytes_of_text(path)))
        return fail_with(err, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, letters, digits and _ - . only");
    return true;
}

FALLIBLE call_audit(struct call *call, const char *action, const char *subject, struct err *err)
{
    return audit_administered(call->broker->store, call->request->now, caller_name(&call->caller), action, subject, err);
}

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

enum access { EARLY, OPEN, ADMIN }; /* EARLY: open, and before anything of a turn is written: see broker_answers_early */
enum { BOTH = FACE_GUESTS | FACE_ADMINISTRATORS, GUESTS = FACE_GUESTS, ADMINS = FACE_ADMINISTRATORS };

/* A prefix ending in "/" takes the rest of the path as its argument; any other must be the whole path. */
static const struct route {
    const char *method, *prefix;
    unsigned    faces;
    enum access access;
    const char *variant;
    FALLIBLE  (*serve)(struct call *call, struct err *err);
} ROUTES[] = {
    { "GET", "/healthz", BOTH, EARLY, "HTTPFailed", health },
    { "GET", "/.well-known/jwks.json", BOTH, EARLY, "HTTPFailed", jwks },
    { "POST", KBS_PREFIX "/auth", GUESTS, EARLY, "AttestationError", attest_challenge },
    { "POST", KBS_PREFIX "/attest", GUESTS, EARLY, "AttestationError", attest_evidence },
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

/* The certificate that TLS has verified counts first, then the token. */
static FALLIBLE administrator_find(struct call *call, struct err *err)
{
    const struct request *request = call->request;
    struct bytes          token;

    if (request->certificate)
        return administrators_by_certificate(call->broker->administrators, request->certificate, &call->caller, err) &&
               (!request->claims || json_read(bytes_of_text(request->claims), ADMIN_TOKEN_MAX, &call->caller.claims, err));
    return call_bearer(call->request, &token, err) &&
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
    (void) snprintf(out->reason, sizeof out->reason, "%.*s", (int) sizeof out->reason - 1, why);
    buffer_printf(&out->body, "{\"type\":\"" KBS_ERROR_TYPE "%s\",\"detail\":", variant);
    jcs_append_text(bytes_of_text(status == STATUS_INTERNAL ? "internal error; the broker's log has the cause" : why),
                    &out->body);
    buffer_append_text(&out->body, "}");
}

void answer_refuse(struct answer *out, unsigned status, const char *why) { answer_error(out, status, "HTTPFailed", why); }

/* A release that came to nothing: should this not be written, the log still has rather one too many than one too few. */
static void undelivered_audit(struct broker *broker, const struct request *request, const struct answer *out, const char *why)
{
    const char *path = request->path + strlen(KBS_PREFIX "/resource/"); /* nothing else is ever sealed */
    struct err  err;

    if (audit_key_undelivered(broker->store, request->now, BYTES_OF(out->evidence), path, why, &err))
        return;
    store_spoil(broker->store);
    log_error("the audit log was not told that a secret came to nothing", "why=\"%s\"", err.text);
}

void broker_deliver(struct broker *broker, const struct request *request, struct answer *out)
{
    AUTO(sealing) struct sealing *sealing = TAKE(out->sealing);
    bool                          is_full = sealing->err.kind == ERR_LIMIT; /* the heap for secrets: others give theirs back */

    if (sealing->is_sealed) {
        out->body = TAKE(sealing->sealed);
        return;
    }
    log_error("a secret could not be sealed", "why=\"%s\"", sealing->err.text);
    undelivered_audit(broker, request, out, sealing->err.text);
    answer_error(out, is_full ? STATUS_BUSY : STATUS_INTERNAL, "JweError", is_full ? "this broker is busy: ask again" : sealing->err.text);
}

/* Of an attestation: its session is spent, and the audit log has it. */
void broker_write(struct broker *broker, struct answer *out)
{
    AUTO(pending) struct pending *pending = TAKE(out->pending);
    struct err                    err;

    if ((!pending->session[0] || store_session_add(broker->store, pending->session, pending->expires,
                                                   buffer_bytes(&pending->token), &err)) &&
        store_audit_add(broker->store, buffer_bytes(&pending->entry), &err))
        return;
    if (err.kind == ERR_OS || err.kind == ERR_BUG)
        store_spoil(broker->store);
    (void) context(&err, "RCAR handshake Attest failed"); /* returns false */
    answer_error(out, status_of(err.kind, false, "AttestationError"), "AttestationError", err.text);
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

bool broker_answers_early(const char *method, const char *path)
{
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        if (ROUTES[i].access == EARLY && strcmp(ROUTES[i].method, method) == 0 && prefix_fits(&ROUTES[i], path))
            return true;
    }
    return false;
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
