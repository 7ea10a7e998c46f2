#include "guest/signature/image_policy.h"

#include <string.h>

#include "base/text.h"
#include "guest/signature/cosign.h"
#include "keys/ocicrypt/packet.h"

void image_policy_free(struct image_policy *policy)
{
    if (policy->document)
        json_object_put(policy->document);
    policy->document = NULL;
}

static FALLIBLE key_path_check(struct json_object *path, struct err *err)
{
    char        kid[ENC_KID_MAX + 1];
    const char *text = json_object_is_type(path, json_type_string) ? json_object_get_string(path) : NULL;

    if (!text || strncmp(text, "kbs://", 6) != 0)
        return fail_with(err, ERR_MALFORMED, "a key path: kbs:///REPOSITORY/TYPE/TAG is wanted; a guest has no files");
    return kid_read(bytes_of_text(text), kid, err);
}

static FALLIBLE key_data_check(struct json_object *data, struct err *err)
{
    AUTO(buffer) struct buffer pem  = { 0 };
    AUTO(pkey) EVP_PKEY       *key  = NULL;
    const char                *text = json_object_is_type(data, json_type_string) ? json_object_get_string(data) : NULL;

    if (!text)
        return fail_with(err, ERR_MALFORMED, "key data: a text is wanted");
    return (base64_read(bytes_of_text(text), BASE64_STANDARD, &pem, err) && cosign_key_read(buffer_bytes(&pem), &key, err)) ||
           context(err, "key data");
}

typedef bool key_check_fn(struct json_object *value, struct err *err);

static FALLIBLE key_list_check(struct json_object *requirement, const char *name, key_check_fn *check, struct err *err)
{
    struct json_object *list = NULL;

    if (!json_get(requirement, name, json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) == 0 || json_object_array_length(list) > POLICY_KEYS_MAX)
        return fail_with(err, ERR_LIMIT, "%s: 1 to %d are wanted", name, POLICY_KEYS_MAX);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (!check(json_object_array_get_idx(list, i), err))
            return context(err, name);
    return true;
}

static FALLIBLE keys_check(struct json_object *requirement, struct err *err)
{
    int n = json_has(requirement, "keyData") + json_has(requirement, "keyDatas") + json_has(requirement, "keyPath") +
            json_has(requirement, "keyPaths");

    if (json_has(requirement, "fulcio") || json_has(requirement, "pki") || json_has(requirement, "rekorPublicKeyPath") ||
        json_has(requirement, "rekorPublicKeyData") || json_has(requirement, "rekorPublicKeyPaths") ||
        json_has(requirement, "rekorPublicKeyDatas"))
        return fail_with(err, ERR_UNSUPPORTED, "fulcio, pki and rekor cannot be checked here; a key is wanted");
    if (n != 1)
        return fail_with(err, ERR_MALFORMED, "one of keyData, keyDatas, keyPath and keyPaths is wanted, found %d", n);
    if (json_has(requirement, "keyData"))
        return key_data_check(json_object_object_get(requirement, "keyData"), err);
    if (json_has(requirement, "keyPath"))
        return key_path_check(json_object_object_get(requirement, "keyPath"), err);
    return json_has(requirement, "keyDatas") ? key_list_check(requirement, "keyDatas", key_data_check, err)
                                             : key_list_check(requirement, "keyPaths", key_path_check, err);
}

static FALLIBLE floor_check(struct json_object *requirement, struct err *err)
{
    static const char *const known[] = { "annotation", "atLeast", NULL };
    struct json_object      *floor;
    const char              *annotation;
    uint64_t                 least;

    if (!json_object_object_get_ex(requirement, "floor", &floor))
        return true;
    if (!json_get(requirement, "floor", json_type_object, &floor, err) || !json_only(floor, known, err) ||
        !json_get_text(floor, "annotation", &annotation, err) ||
        !json_get_u64(floor, "atLeast", INT64_MAX, &least, err))
        return context(err, "floor");
    return true;
}

static FALLIBLE signed_check(struct json_object *requirement, struct err *err)
{
    static const char *const known[] = { "type", "keyData", "keyDatas", "keyPath", "keyPaths", "signedIdentity", "floor", NULL };
    struct json_object      *rule    = NULL;
    bool has_rule = json_object_object_get_ex(requirement, "signedIdentity", &rule);

    if (has_rule && !rule)
        return fail_with(err, ERR_MALFORMED, "signedIdentity: null");
    return keys_check(requirement, err) && json_only(requirement, known, err) &&
           signed_identity_check(rule, err) && floor_check(requirement, err);
}

static FALLIBLE encrypted_check(struct json_object *requirement, struct err *err)
{
    static const char *const known[] = { "type", "keyId", NULL };

    if (!json_only(requirement, known, err))
        return false;
    return !json_object_object_get_ex(requirement, "keyId", NULL) ||
           key_path_check(json_object_object_get(requirement, "keyId"), err);
}

static FALLIBLE requirement_check(struct json_object *requirement, struct err *err)
{
    static const char *const bare[] = { "type", NULL };
    const char              *type;

    if (!json_object_is_type(requirement, json_type_object))
        return fail_with(err, ERR_MALFORMED, "not an object");
    if (!json_get_text(requirement, "type", &type, err))
        return false;
    if (strcmp(type, "insecureAcceptAnything") == 0 || strcmp(type, "reject") == 0)
        return json_only(requirement, bare, err);
    if (strcmp(type, "sigstoreSigned") == 0)
        return signed_check(requirement, err) || context(err, type);
    if (strcmp(type, "encryptedWith") == 0)
        return encrypted_check(requirement, err) || context(err, type);
    return strcmp(type, "signedBy") == 0 || fail_with(err, ERR_MALFORMED, "no such requirement: \"%.40s\"", type);
}

static FALLIBLE requirements_check(struct json_object *list, struct err *err)
{
    size_t n;

    if (!json_object_is_type(list, json_type_array))
        return fail_with(err, ERR_MALFORMED, "a list of requirements is wanted");
    n = json_object_array_length(list);
    if (n == 0)
        return fail_with(err, ERR_MALFORMED, "no requirements; say insecureAcceptAnything when that is meant");
    if (n > POLICY_REQUIREMENTS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d requirements", POLICY_REQUIREMENTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!requirement_check(json_object_array_get_idx(list, i), err))
            return contextf(err, "requirement %zu", i + 1);
    return true;
}

/* The name that `text` has after it was read as one of an image, with or without tag and digest. */
static bool is_in_one_form(struct buffer *text, bool is_whole)
{
    struct image_reference read;
    struct err             unheard; /* no name of an image */

    if (!image_reference_read(buffer_bytes(text), &read, &unheard))
        return false;
    return strcmp(is_whole ? image_reference_text(&read).at : image_reference_name(&read).at, buffer_text(text)) == 0;
}

/* "*.HOST", an image, or what stands before "/" in the name of one. Any other would say something about no image at all. */
static FALLIBLE scope_check(const char *scope, struct err *err)
{
    bool                       is_wild = strncmp(scope, "*.", 2) == 0;
    AUTO(buffer) struct buffer whole = { 0 }, inner = { 0 };

    buffer_append_text(&whole, scope);
    buffer_printf(&inner, "%s/x", is_wild ? scope + 2 : scope);
    if (scope[0] == '\0' || (is_wild && !strchr(scope, '/') && is_in_one_form(&inner, false)))
        return true;
    if (!is_wild && (is_in_one_form(&whole, true) || is_in_one_form(&inner, false)))
        return true;
    return fail_with(err, ERR_MALFORMED, "no image has such a name: HOST[:PORT][/PATH][:TAG or @DIGEST] or *.HOST is wanted, in lower case");
}

/* Those of containers-transports(5): any other is one of them, misspelt. Only docker is how a guest pulls. */
static FALLIBLE transports_check(struct json_object *transports, struct err *err)
{
    static const char *const known[] = { "atomic", "containers-storage", "dir", "docker", "docker-archive", "docker-daemon", "oci",
                                         "oci-archive", "ostree", "sif", "tarball", NULL };

    if (!json_only(transports, known, err))
        return false;
    json_object_object_foreach(transports, transport, scopes) {
        if (!json_object_is_type(scopes, json_type_object))
            return fail_with(err, ERR_MALFORMED, "%.40s: scopes are wanted", transport);
        json_object_object_foreach(scopes, scope, list)
            if ((strcmp(transport, "docker") == 0 && !scope_check(scope, err)) || !requirements_check(list, err))
                return contextf(err, "%.40s: \"%.80s\"", transport, scope);
    }
    return true;
}

FALLIBLE image_policy_read(struct bytes json, struct image_policy *out, struct err *err)
{
    static const char *const        known[]     = { "default", "transports", NULL };
    AUTO(json) struct json_object *document    = NULL;
    struct json_object             *transports = NULL;

    if (!json_read(json, IMAGE_POLICY_MAX, &document, err))
        return context(err, "image policy");
    if (!json_object_is_type(document, json_type_object) || !json_has(document, "default"))
        return fail_with(err, ERR_MALFORMED, "image policy: an object with \"default\" is wanted");
    if (!json_only(document, known, err))
        return context(err, "image policy");
    if (!requirements_check(json_object_object_get(document, "default"), err))
        return context(err, "image policy: default");
    if (json_object_object_get_ex(document, "transports", NULL) &&
        (!json_get(document, "transports", json_type_object, &transports, err) || !transports_check(transports, err)))
        return context(err, "image policy");
    out->document = TAKE(document);
    return true;
}

/* NULL when there is no such scope. */
static struct json_object *scope_named(struct json_object *scopes, const char *name, size_t len)
{
    AUTO(buffer) struct buffer text  = { 0 };
    struct json_object        *found = NULL;

    buffer_append(&text, (struct bytes){ (const uint8_t *) name, len });
    return json_object_object_get_ex(scopes, buffer_text(&text), &found) ? found : NULL;
}

/* "registry.host.example": "*.host.example", then "*.example". */
static struct json_object *wildcard_find(struct json_object *scopes, const char *registry)
{
    for (const char *dot = strchr(registry, '.'); dot; dot = strchr(dot + 1, '.')) {
        AUTO(buffer) struct buffer text  = { 0 };
        struct json_object        *found = NULL;

        buffer_printf(&text, "*%s", dot);
        if (json_object_object_get_ex(scopes, buffer_text(&text), &found))
            return found;
    }
    return NULL;
}

static struct json_object *scope_find(struct json_object *scopes, const struct image_reference *reference)
{
    struct reference_text  name = image_reference_name(reference);
    struct image_reference part = *reference;
    struct json_object    *found = NULL;

    part.tag[0] = '\0';
    if (reference->has_digest)
        found = scope_named(scopes, image_reference_text(&part).at, strlen(image_reference_text(&part).at));
    part            = *reference;
    part.has_digest = false;
    if (!found && part.tag[0])
        found = scope_named(scopes, image_reference_text(&part).at, strlen(image_reference_text(&part).at));
    for (size_t len = strlen(name.at); !found && len > 0;) {
        found = scope_named(scopes, name.at, len);
        while (len > 0 && name.at[--len] != '/')
            ;
    }
    if (!found)
        found = wildcard_find(scopes, reference->registry);
    return found ? found : scope_named(scopes, "", 0);
}

struct json_object *image_policy_requirements(const struct image_policy *policy,
                                              const struct image_reference *reference)
{
    struct json_object *transports = json_object_object_get(policy->document, "transports");
    struct json_object *scopes     = transports ? json_object_object_get(transports, "docker") : NULL;
    struct json_object *found      = reference && scopes ? scope_find(scopes, reference) : NULL;

    return found ? found : json_object_object_get(policy->document, "default");
}
