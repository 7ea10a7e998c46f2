/* Administration in the words of Trustee's own client, kbs-client. [KBS 12] */
#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/broker/administration.h"
#include "keys/broker/reference_message.h"
#include "keys/broker/reference_value.h"
#include "keys/jose/jcs.h"

/* The member "policy" of the body: base64url of the text. */
static FALLIBLE policy_member(struct json_object *body, struct buffer *text, struct err *err)
{
    const char *encoded;

    if (!json_get_text(body, "policy", &encoded, err))
        return false;
    return base64_read(bytes_of_text(encoded), BASE64_URL, text, err) || context(err, "policy");
}

FALLIBLE trustee_attestation_policy_set(struct call *call, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    AUTO(buffer) struct buffer     text = { 0 };
    const char                    *id;

    return json_read(call->request->body, KBS_BODY_MAX, &body, err) && json_get_text(body, "policy_id", &id, err) &&
           policy_member(body, &text, err) &&
           document_store(call, DOCUMENT_ATTESTATION_POLICY, id, buffer_bytes(&text), 0, err);
}

FALLIBLE trustee_resource_policy_set(struct call *call, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    AUTO(buffer) struct buffer     text = { 0 };

    return json_read(call->request->body, KBS_BODY_MAX, &body, err) && policy_member(body, &text, err) &&
           document_store(call, DOCUMENT_RESOURCE_POLICY, RELEASE_POLICY_ALL, buffer_bytes(&text), 0, err);
}

static void list_name(void *owner, const struct document *d)
{
    struct listing *l = owner;

    if (strcmp(d->name, RELEASE_POLICY_ALL) != 0 && !caller_sees(l->caller, d->name))
        return;
    listing_separate(l);
    jcs_append_text(bytes_of_text(d->name), l->out);
}

FALLIBLE trustee_resource_policy_list(struct call *call, struct err *err)
{
    struct listing l = { .out = &call->answer->body, .caller = &call->caller };

    if (!caller_may(&call->caller, MAY_LIST, "", err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(l.out, "[");
    if (!store_documents_each(call->broker->store, DOCUMENT_RESOURCE_POLICY, call->request->now, list_name, &l, err))
        return false;
    buffer_append_text(l.out, "]");
    return true;
}

FALLIBLE trustee_reference_value_register(struct call *call, struct err *err)
{
    AUTO(reference_set) struct reference_set set = { 0 };

    if (!caller_may(&call->caller, MAY_REFERENCE, NULL, err) ||
        !reference_message_read(call->request->body, call->broker->administrators, call->request->now, &set, err))
        return false;
    json_object_object_foreach(set.values, name, value)
    {
        AUTO(buffer) struct buffer text = { 0 };

        json_write(value, &text);
        if (!document_store(call, DOCUMENT_REFERENCE_VALUE, name, buffer_bytes(&text), set.expires, err))
            return contextf(err, "reference value \"%.60s\"", name);
    }
    call->answer->content_type = JSON_TYPE;
    return set.signer[0] == 0 || call_audit(call, "verify reference values signed by", set.signer, err);
}

FALLIBLE trustee_reference_value_get(struct call *call, struct err *err)
{
    if (!caller_may(&call->caller, MAY_LIST, "", err) ||
        !reference_value_find(call->broker->store, call->rest, NULL, (struct bytes){ 0 }, call->request->now,
                              &call->answer->body, err))
        return false;
    call->answer->content_type = JSON_TYPE;
    return call->answer->body.len > 0 || fail_with(err, ERR_UNTRUSTED, "there is no reference value of that name"); /* 401, as Trustee */
}

static void list_value(void *owner, const struct document *d)
{
    struct listing *l = owner;

    listing_separate(l);
    jcs_append_text(bytes_of_text(d->name), l->out);
    buffer_append_text(l->out, ":");
    buffer_append(l->out, d->text);
}

FALLIBLE trustee_reference_values_get(struct call *call, struct err *err)
{
    struct listing l = { .out = &call->answer->body };

    if (!caller_may(&call->caller, MAY_LIST, "", err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(l.out, "{");
    if (!store_documents_each(call->broker->store, DOCUMENT_REFERENCE_VALUE, call->request->now, list_value, &l, err))
        return false;
    buffer_append_text(l.out, "}");
    return true;
}
