#include "guest/registry/settings.h"

#include <string.h>

#include "base/toml.h"

void image_settings_free(struct image_settings *settings)
{
    if (settings->document)
        json_object_put(settings->document);
    buffer_free(&settings->ca_pem);
    *settings = (struct image_settings){ 0 };
}

static FALLIBLE uri_read(struct json_object *image, const char *name, char kid[static ENC_KID_MAX + 1], struct err *err)
{
    const char *text;

    if (!json_has(image, name))
        return true;
    if (!json_get_text(image, name, &text, err))
        return false;
    if (strncmp(text, "kbs://", 6) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "%s: kbs:///REPOSITORY/TYPE/TAG is wanted; a guest has no files", name);
    return kid_read(bytes_of_text(text), kid, err) || context(err, name);
}

static FALLIBLE optional_text(struct json_object *from, const char *name, const char **out, struct err *err)
{
    return !json_has(from, name) || json_get_text(from, name, out, err);
}

static FALLIBLE certificates_read(struct json_object *image, struct buffer *out, struct err *err)
{
    struct json_object *list = NULL;

    if (!json_has(image, "extra_root_certificates"))
        return true;
    if (!json_get(image, "extra_root_certificates", json_type_array, &list, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *pem = json_object_array_get_idx(list, i);

        if (!json_object_is_type(pem, json_type_string) ||
            !strstr(json_object_get_string(pem), "-----BEGIN CERTIFICATE-----"))
            return fail_with(err, ERR_MALFORMED, "extra_root_certificates: certificate %zu is no PEM", i + 1);
        buffer_append_text(out, json_object_get_string(pem));
        buffer_append_text(out, "\n");
    }
    return true;
}

static FALLIBLE proxy_read(struct json_object *image, struct image_settings *out, struct err *err)
{
    static const char *const known[] = { "https_proxy", "http_proxy", "no_proxy", NULL };
    struct json_object      *proxy   = NULL;

    if (!json_has(image, "image_pull_proxy"))
        return true;
    if (!json_get(image, "image_pull_proxy", json_type_object, &proxy, err) || !json_only(proxy, known, err) ||
        !optional_text(proxy, "https_proxy", &out->https_proxy, err) ||
        !optional_text(proxy, "http_proxy", &out->http_proxy, err) ||
        !optional_text(proxy, "no_proxy", &out->no_proxy, err))
        return context(err, "image_pull_proxy");
    return true;
}

static FALLIBLE image_read(struct json_object *image, struct image_settings *out, struct err *err)
{
    static const char *const known[] = {
        "image_security_policy", "image_security_policy_uri", "authenticated_registry_credentials_uri", "registry_config",
        "registry_configuration_uri", "extra_root_certificates", "image_pull_proxy", "sigstore_config_uri", "work_dir",
        "max_concurrent_layer_downloads_per_image", NULL
    };
    uint64_t parallel = 0;

    if (!json_only(image, known, err) || !optional_text(image, "image_security_policy", &out->policy, err) ||
        !uri_read(image, "image_security_policy_uri", out->policy_kid, err) ||
        !uri_read(image, "authenticated_registry_credentials_uri", out->credentials_kid, err) ||
        !uri_read(image, "registry_configuration_uri", out->registries_kid, err) ||
        !certificates_read(image, &out->ca_pem, err) || !proxy_read(image, out, err))
        return false;
    if (json_has(image, "registry_config") &&
        !json_get(image, "registry_config", json_type_object, &out->registries, err))
        return false;
    if (json_has(image, "max_concurrent_layer_downloads_per_image") &&
        !json_get_u64(image, "max_concurrent_layer_downloads_per_image", 1000, &parallel, err))
        return false;
    out->parallel = (uint32_t) parallel;
    return true;
}

/* What a confidential-data-hub has. Only `image` is for us, but a table of another name could be that, misspelt. */
FALLIBLE image_settings_read(struct bytes toml, struct image_settings *out, struct err *err)
{
    static const char *const known[] = { "socket", "skip_sealed_secret_verification", "aa", "kbc", "credentials", "image", "log", NULL };
    AUTO(image_settings) struct image_settings read  = { 0 };
    struct json_object                        *image = NULL;

    if (!toml_read(toml, &read.document, err) || !json_only(read.document, known, err))
        return context(err, "cdh.toml");
    if (json_has(read.document, "image") && (!json_get(read.document, "image", json_type_object, &image, err) ||
                                             !image_read(image, &read, err)))
        return context(err, "cdh.toml: image");
    *out = read;
    read = (struct image_settings){ 0 };
    return true;
}
