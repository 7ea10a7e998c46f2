/* Policies, reference values by name, bindings: one way to list, set, remove and look back. */
#include <string.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "keys/broker/administration.h"
#include "keys/broker/epoch.h"
#include "keys/jose/jcs.h"

enum { VALUE_NAME_MAX = 200, POLICY_NAME_MAX = 64 };

/* ---- what each kind is, and who may set it ---- */

#define POLICY_NAMES "an attestation policy is named default_cpu, or TENANT_cpu for what one tenant's secrets want"

static FALLIBLE attestation_policy_check(struct call *call, const char *name, struct bytes text, struct err *err)
{
    static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    struct policy_question any = { .module = text };
    const char            *class = strrchr(name, '_');

    if (name[0] == 0 || strlen(name) > POLICY_NAME_MAX || strspn(name, ALLOWED) != strlen(name))
        return fail_with(err, ERR_MALFORMED, POLICY_NAMES);
    if (class && class != name && strcmp(class, "_cpu") == 0)
        return appraisal_policy_check(call->broker->engine, text, err);
    if (strncmp(call->request->path, KBS_PREFIX "/", sizeof KBS_PREFIX) != 0)
        return fail_with(err, ERR_MALFORMED, POLICY_NAMES);
    return policy_engine_check(call->broker->engine, &any, err); /* never asked: Trustee's client gives it names of any kind */
}

static FALLIBLE resource_policy_check(struct call *call, const char *name, struct bytes text, struct err *err)
{
    if (!release_policy_name_is_valid(name))
        return fail_with(err, ERR_MALFORMED, "a resource policy is named *, REPOSITORY, REPOSITORY/TYPE or REPOSITORY/TYPE/TAG");
    return release_policy_check(call->broker->engine, text, err);
}

static FALLIBLE reference_value_check(struct call *call, const char *name, struct bytes text, struct err *err)
{
    AUTO(json) struct json_object *value = NULL;

    (void) call;
    if (name[0] == 0 || strlen(name) > VALUE_NAME_MAX || !is_utf8(bytes_of_text(name)))
        return fail_with(err, ERR_MALFORMED, "a reference value has a name of 1 to %d bytes", VALUE_NAME_MAX);
    if (!json_read(text, DOCUMENT_TEXT_MAX, &value, err))
        return context(err, "the reference value");
    return value || fail_with(err, ERR_MALFORMED, "a reference value is not null");
}

static FALLIBLE binding_check(struct call *call, const char *name, struct bytes text, struct err *err)
{
    AUTO(json) struct json_object *binding = NULL;

    (void) call;
    return call_path_check(name, err) && json_read(text, DOCUMENT_TEXT_MAX, &binding, err) &&
           release_binding_check(binding, err);
}

/* An administrator sets it to what a volume that is put back shows, or removes it. */
static FALLIBLE volume_epoch_check(struct call *call, const char *name, struct bytes text, struct err *err)
{
    uint64_t epoch;

    (void) call;
    return call_path_check(name, err) && epoch_text_read(text, &epoch, err);
}

static const struct row {
    const char     *name;
    enum permission permission;
    bool            is_by_path; /* its name begins with a tenant */
    FALLIBLE      (*check)(struct call *call, const char *name, struct bytes text, struct err *err);
} KINDS[] = {
    [DOCUMENT_ATTESTATION_POLICY] = { "attestation-policy", MAY_POLICY, false, attestation_policy_check },
    [DOCUMENT_RESOURCE_POLICY]    = { "resource-policy", MAY_POLICY, true, resource_policy_check },
    [DOCUMENT_REFERENCE_VALUE]    = { "reference-value", MAY_REFERENCE, false, reference_value_check },
    [DOCUMENT_BINDING]            = { "binding", MAY_PUT, true, binding_check },
    [DOCUMENT_VOLUME_EPOCH]       = { "volume-epoch", MAY_PUT, true, volume_epoch_check },
};

enum { SCOPE_ROOM = DOCUMENT_NAME_MAX + 1 };

/* What the name of a document concerns: a tenant's path, or NULL for all. An attestation policy TENANT_CLASS is that tenant's. */
static const char *scope_of(enum document_kind kind, const char *name, char room[static SCOPE_ROOM])
{
    const char *class = strrchr(name, '_');

    if (kind == DOCUMENT_ATTESTATION_POLICY && class && strlen(name) < SCOPE_ROOM) {
        (void) snprintf(room, SCOPE_ROOM, "%.*s", (int) (class - name), name); /* fits: asked above */
        return room[0] == 0 || strcmp(room, APPRAISAL_POLICY_ID) == 0 ? NULL : room;
    }
    return KINDS[kind].is_by_path && strcmp(name, RELEASE_POLICY_ALL) != 0 ? name : NULL;
}

/* "KIND" or "KIND/NAME" */
static FALLIBLE kind_read(const char *rest, enum document_kind *kind, const char **name, struct err *err)
{
    size_t len = strcspn(rest, "/");

    for (int i = 0; i < N_DOCUMENT_KINDS; i++) {
        if (strlen(KINDS[i].name) == len && strncmp(KINDS[i].name, rest, len) == 0) {
            *kind = (enum document_kind) i;
            *name = rest[len] ? rest + len + 1 : "";
            return true;
        }
    }
    return fail_with(err, ERR_NOT_FOUND, "there are attestation-policy, resource-policy, reference-value, binding and volume-epoch");
}

FALLIBLE document_store(struct call *call, enum document_kind kind, const char *name, struct bytes text, int64_t expires,
                        struct err *err)
{
    AUTO(buffer) struct buffer subject  = { 0 };
    char                       room[SCOPE_ROOM];
    struct document            document = { .name = name, .text = text, .changed = call->request->now, .expires = expires,
                                            .by = caller_name(&call->caller) };

    if (!caller_may(&call->caller, KINDS[kind].permission, scope_of(kind, name, room), err) ||
        !KINDS[kind].check(call, name, text, err) || !store_document_put(call->broker->store, kind, &document, err))
        return false;
    buffer_printf(&subject, "%s %s", KINDS[kind].name, name);
    return call_audit(call, "set", buffer_text(&subject), err);
}

/* ---- the calls ---- */

/* The elements of `text` into the list that stands there: what is there stays. */
static FALLIBLE list_merge(struct call *call, const char *name, struct json_object *added, struct buffer *out,
                           struct err *err)
{
    AUTO(buffer) struct buffer     text = { 0 };
    AUTO(json) struct json_object *list = NULL;
    int64_t                        version;

    if (!store_document_get(call->broker->store, DOCUMENT_REFERENCE_VALUE, name, call->request->now, &text, &version, err) ||
        (version > 0 && !json_read(buffer_bytes(&text), DOCUMENT_TEXT_MAX, &list, err)))
        return false;
    if (version == 0)
        list = json_object_new_array();
    if (!json_object_is_type(list, json_type_array) || !json_object_is_type(added, json_type_array))
        return fail_with(err, ERR_MALFORMED, "only a list can be added to a list");
    for (size_t i = 0; i < json_object_array_length(added); i++) {
        struct json_object *one  = json_object_array_get_idx(added, i);
        bool                have = false;

        for (size_t j = 0; j < json_object_array_length(list); j++)
            have = have || json_object_equal(json_object_array_get_idx(list, j), one) == 1;
        if (!have && json_object_array_add(list, json_object_get(one)) != 0)
            abort();
    }
    json_write(list, out);
    return true;
}

static FALLIBLE merged_text(struct call *call, const char *name, const char *text, struct buffer *out, struct err *err)
{
    AUTO(json) struct json_object *added = NULL;

    return json_read(bytes_of_text(text), DOCUMENT_TEXT_MAX, &added, err) && list_merge(call, name, added, out, err);
}

FALLIBLE document_put(struct call *call, struct err *err)
{
    AUTO(json) struct json_object *body   = NULL;
    AUTO(buffer) struct buffer     merged = { 0 }, ignored = { 0 };
    const char                    *name, *text;
    enum document_kind             kind;
    uint64_t                       expires = 0;
    int64_t                        version;
    bool                           adds;

    if (!kind_read(call->rest, &kind, &name, err) || !json_read(call->request->body, KBS_BODY_MAX, &body, err) ||
        !json_get_text(body, "text", &text, err) ||
        (json_has(body, "expires") && !json_get_u64(body, "expires", INT64_MAX, &expires, err)))
        return false;
    adds = json_object_get_boolean(json_object_object_get(body, "add"));
    if (adds && kind != DOCUMENT_REFERENCE_VALUE)
        return fail_with(err, ERR_MALFORMED, "only to a reference value can be added");
    if (adds && !merged_text(call, name, text, &merged, err))
        return false;
    if (!document_store(call, kind, name, adds ? buffer_bytes(&merged) : bytes_of_text(text), (int64_t) expires, err) ||
        !store_document_get(call->broker->store, kind, name, 0, &ignored, &version, err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_printf(&call->answer->body, "{\"version\":%lld}", (long long) version);
    return true;
}

FALLIBLE document_remove(struct call *call, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 }, subject = { 0 };
    struct document            removal = { .is_removed = true, .changed = call->request->now, .by = caller_name(&call->caller) };
    enum document_kind         kind;
    int64_t                    version;
    char                       room[SCOPE_ROOM];

    if (!kind_read(call->rest, &kind, &removal.name, err) ||
        !caller_may(&call->caller, KINDS[kind].permission, scope_of(kind, removal.name, room), err) ||
        !store_document_get(call->broker->store, kind, removal.name, 0, &text, &version, err))
        return false;
    if (version == 0)
        return fail_with(err, ERR_NOT_FOUND, "there is no %s %.120s", KINDS[kind].name, removal.name);
    buffer_printf(&subject, "%s %s", KINDS[kind].name, removal.name);
    return store_document_put(call->broker->store, kind, &removal, err) &&
           call_audit(call, "unset", buffer_text(&subject), err);
}

struct document_listing {
    struct listing     listing;
    enum document_kind kind;
};

static void list_document(void *owner, const struct document *d)
{
    struct document_listing *l     = owner;
    char                     room[SCOPE_ROOM];
    const char              *scope = scope_of(l->kind, d->name, room);

    if (scope && !caller_sees(l->listing.caller, scope))
        return;
    listing_separate(&l->listing);
    buffer_append_text(l->listing.out, "{\"name\":");
    jcs_append_text(bytes_of_text(d->name), l->listing.out);
    buffer_printf(l->listing.out, ",\"version\":%lld,\"changed\":%lld,\"expires\":%lld,\"by\":", (long long) d->version,
                  (long long) d->changed, (long long) d->expires);
    jcs_append_text(bytes_of_text(d->by), l->listing.out);
    buffer_append_text(l->listing.out, ",\"text\":");
    if (d->is_removed)
        buffer_append_text(l->listing.out, "null");
    else
        jcs_append_text(d->text, l->listing.out);
    buffer_append_text(l->listing.out, "}");
}

static FALLIBLE listed(struct call *call, bool is_history, struct err *err)
{
    struct document_listing l = { .listing = { .out = &call->answer->body, .caller = &call->caller } };
    struct store           *store = call->broker->store;
    const char             *name;

    if (!caller_may(&call->caller, MAY_LIST, "", err) || !kind_read(call->rest, &l.kind, &name, err))
        return false;
    if (is_history == (name[0] == 0))
        return fail_with(err, ERR_NOT_FOUND, is_history ? "a name is wanted" : "only a whole kind can be listed");
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(&call->answer->body, "{\"documents\":[");
    if (!(is_history ? store_document_history(store, l.kind, name, list_document, &l, err)
                     : store_documents_each(store, l.kind, call->request->now, list_document, &l, err)))
        return false;
    buffer_append_text(&call->answer->body, "]}");
    return true;
}

FALLIBLE documents_list(struct call *call, struct err *err) { return listed(call, false, err); }
FALLIBLE document_history(struct call *call, struct err *err) { return listed(call, true, err); }
