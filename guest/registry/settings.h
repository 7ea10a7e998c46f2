/*
 * How images are obtained: the table [image] of "cdh.toml" in the initdata, as Confidential Containers guests read it.
 *
 *   image_security_policy (text) or image_security_policy_uri, authenticated_registry_credentials_uri,
 *   registry_config (table) or registry_configuration_uri, extra_root_certificates (list of PEM),
 *   image_pull_proxy = { https_proxy, http_proxy, no_proxy }, max_concurrent_layer_downloads_per_image
 *
 * A URI is "kbs:///R/T/G". A member that is not understood is an error: a policy that is misspelt must not be no policy.
 */
#pragma once

#include "base/json.h"
#include "guest/registry/limits.h"
#include "keys/ocicrypt/packet.h"

struct image_settings {
    struct json_object *document; /* owns what the rest borrows */
    const char         *policy;   /* JSON text; NULL: none here */
    struct json_object *registries; /* NULL: none here */
    char                policy_kid[ENC_KID_MAX + 1], registries_kid[ENC_KID_MAX + 1], credentials_kid[ENC_KID_MAX + 1];
    struct buffer       ca_pem;   /* all certificates in a row; owned */
    const char         *https_proxy, *http_proxy, *no_proxy; /* NULL: none */
    uint32_t            parallel; /* 0: not said */
};

void image_settings_free(struct image_settings *settings);
static inline void auto_image_settings(struct image_settings *settings) { image_settings_free(settings); }

/*
 * Reads the whole of cdh.toml; without a table [image] everything is empty.
 *
 *   out    yours, AUTO(image_settings); written only on success
 *
 * Fails MALFORMED, LIMIT, UNSUPPORTED.
 */
FALLIBLE image_settings_read(struct bytes toml, struct image_settings *out, struct err *err);
