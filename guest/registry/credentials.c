#include "guest/registry/credentials.h"

#include <string.h>

#include "base/text.h"

static FALLIBLE pair_check(struct bytes pair, struct err *err)
{
    if (pair.len > CREDENTIAL_MAX)
        return fail_with(err, ERR_LIMIT, "auth: %zu bytes", pair.len);
    if (pair.len == 0 || !memchr(pair.at, ':', pair.len) || memchr(pair.at, '\0', pair.len))
        return fail_with(err, ERR_MALFORMED, "auth: USER:PASSWORD is wanted");
    return true;
}

/* "USER:PASSWORD" of an entry, appended: "auth", or both apart as Kubernetes writes them. */
static FALLIBLE entry_read(struct json_object *entry, struct buffer *out, struct err *err)
{
    const char *auth, *user, *password;

    if (!json_object_is_type(entry, json_type_object))
        return fail_with(err, ERR_MALFORMED, "not an object");
    if (json_has(entry, "identitytoken"))
        return fail_with(err, ERR_UNSUPPORTED, "an identity token; \"auth\" is wanted");
    if (json_has(entry, "registrytoken"))
        return fail_with(err, ERR_UNSUPPORTED, "a registry token; \"auth\" is wanted");
    if (json_has(entry, "auth"))
        return (json_get_text(entry, "auth", &auth, err) && base64_read(bytes_of_text(auth), BASE64_STANDARD, out, err)) ||
               context(err, "auth");
    if (!json_has(entry, "username") && !json_has(entry, "password"))
        return fail_with(err, ERR_UNSUPPORTED, "no \"auth\": a guest has no credential helpers");
    if (!json_get_text(entry, "username", &user, err) || !json_get_text(entry, "password", &password, err))
        return false;
    if (strchr(user, ':'))
        return fail_with(err, ERR_MALFORMED, "username: with a colon");
    buffer_append_text(out, user);
    buffer_append_text(out, ":");
    buffer_append_text(out, password);
    return true;
}

static FALLIBLE entry_check(struct json_object *entry, struct err *err)
{
    AUTO(buffer) struct buffer pair = WIPED_BUFFER;

    return entry_read(entry, &pair, err) && pair_check(buffer_bytes(&pair), err);
}

FALLIBLE credentials_read(struct bytes json, struct credentials *out, struct err *err)
{
    AUTO(wiped_json) struct json_object *document = NULL;
    struct json_object                  *auths    = NULL;

    if (!json_read_wiped(json, CREDENTIALS_MAX, &document, err))
        return context(err, "credentials");
    if (json_has(document, "credHelpers") || json_has(document, "credsStore"))
        return fail_with(err, ERR_UNSUPPORTED, "credentials: a guest has no credential helpers; put USER:PASSWORD into auths");
    if (!json_get(document, "auths", json_type_object, &auths, err))
        return context(err, "credentials");
    json_object_object_foreach(auths, name, entry)
        if (!entry_check(entry, err))
            return contextf(err, "credentials: %.80s", name);
    out->document = TAKE(document);
    return true;
}

/* What is compared of an entry's name. Docker Hub has three names in such files; hosts are told apart without case. */
static void normalise(const char *name, struct buffer *out)
{
    const char *scheme = strstr(name, "://");
    size_t      len, host_len;

    name = scheme ? scheme + 3 : name;
    len  = strlen(name);
    while (len > 0 && name[len - 1] == '/')
        len--;
    if (len > 3 && (strncmp(name + len - 3, "/v1", 3) == 0 || strncmp(name + len - 3, "/v2", 3) == 0))
        len -= 3;
    host_len = strcspn(name, "/") < len ? strcspn(name, "/") : len;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t) name[i];

        c = i < host_len && c >= 'A' && c <= 'Z' ? (uint8_t) (c - 'A' + 'a') : c;
        buffer_append(out, (struct bytes){ &c, 1 });
    }
    if (strcmp(buffer_text(out), "index.docker.io") == 0 || strcmp(buffer_text(out), "registry-1.docker.io") == 0) {
        out->len = 0;
        buffer_append_text(out, "docker.io");
    }
}

static struct json_object *entry_named(struct json_object *auths, struct bytes wanted)
{
    json_object_object_foreach(auths, name, entry) {
        AUTO(buffer) struct buffer known = { 0 };

        normalise(name, &known);
        if (bytes_equal(buffer_bytes(&known), wanted))
            return entry;
    }
    return NULL;
}

void credentials_find(const struct credentials *credentials, const char *registry, const char *repository,
                      struct buffer *out)
{
    struct json_object        *auths = credentials->document ?
                                           json_object_object_get(credentials->document, "auths") : NULL;
    struct json_object        *entry = NULL;
    AUTO(buffer) struct buffer scope = { 0 };
    struct err                 unheard; /* it was read when it was checked */

    if (!auths)
        return;
    buffer_printf(&scope, "%s/%s", registry, repository);
    while (!entry && scope.len > 0) {
        entry = entry_named(auths, buffer_bytes(&scope));
        const char *text  = buffer_text(&scope);
        const char *slash = strrchr(text, '/');

        scope.len = slash ? (size_t) (slash - text) : 0;
    }
    if (entry && !entry_read(entry, out, &unheard))
        out->len = 0;
}

void credentials_free(struct credentials *credentials)
{
    json_wipe(TAKE(credentials->document));
}
