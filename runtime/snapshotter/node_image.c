#include "runtime/snapshotter/node_image.h"

#include <stdio.h>
#include <string.h>

#include "keys/ocicrypt/layer_type.h"
#include "runtime/oci/layout.h"

enum { MANIFEST_MAX = 4 << 20, CONFIG_MAX = 4 << 20 };

#define LABELS            "containerd.io/snapshot/cri."
#define ENCRYPTED_SUFFIX  "+encrypted"
#define LOWER_AND_DIGITS  "abcdefghijklmnopqrstuvwxyz0123456789"

void node_image_free(struct node_image *image)
{
    buffer_free(&image->manifest_text);
    manifest_free(&image->manifest);
    *image = (struct node_image){ 0 };
}

static FALLIBLE label(struct json_object *labels, const char *name, const char **out, struct err *err)
{
    *out = json_object_get_string(json_object_object_get(labels, name));
    return *out || fail_with(err, ERR_NOT_FOUND, "no label %s; is disable_snapshot_annotations set?", name);
}

FALLIBLE node_image_read(const char *content, struct json_object *labels, struct node_image *out, struct err *err)
{
    AUTO(node_image) struct node_image image = { 0 };
    struct json_object                *document;
    const char                        *reference, *manifest;

    if (!label(labels, LABELS "image-ref", &reference, err) || !label(labels, LABELS "manifest-digest", &manifest, err) ||
        !digest_read(bytes_of_text(manifest), &image.manifest_digest, err))
        return false;
    if (strlen(reference) >= sizeof image.reference)
        return fail_with(err, ERR_LIMIT, "an image reference over %d bytes", NODE_REFERENCE_MAX - 1);
    (void) snprintf(image.reference, sizeof image.reference, "%s", reference); /* it fits */
    if (!layout_read_blob(content, manifest, MANIFEST_MAX, &image.manifest_text, err) ||
        !oci_document_read(buffer_bytes(&image.manifest_text), &document, err) ||
        !manifest_read_take(document, &image.manifest, err))
        return context(err, "manifest");
    *out = TAKE(image);
    return true;
}

bool node_image_stays_packed(const struct node_image *image)
{
    for (size_t i = 0; i < image->manifest.n_layers; i++) {
        const char              *type = image->manifest.layers[i].media_type;
        size_t                   len = strlen(type), suffix = sizeof ENCRYPTED_SUFFIX - 1;
        const struct layer_type *known;
        struct err               ignored; /* of a type that we do not know */

        if (layer_type_find(type, &known, &ignored) && known->packing == LAYER_EROFS)
            return true;
        if (len > suffix && strcmp(type + len - suffix, ENCRYPTED_SUFFIX) == 0)
            return true;
    }
    return false;
}

FALLIBLE node_image_adopt(const struct node_image *image, const char *content, const struct blob_cache *cache, struct err *err)
{
    static const char          media_type[] = "application/vnd.oci.image.manifest.v1+json";
    AUTO(buffer) struct buffer config       = { 0 };
    const struct digest       *config_digest = &image->manifest.config.digest;
    struct digest_text         text          = digest_text(config_digest);

    if (!blob_cache_has(cache, config_digest) &&
        (!layout_read_blob(content, text.at, CONFIG_MAX, &config, err) ||
         !blob_cache_add(cache, config_digest, buffer_bytes(&config), err)))
        return context(err, "configuration");
    if (!blob_cache_has(cache, &image->manifest_digest) &&
        !blob_cache_add(cache, &image->manifest_digest, buffer_bytes(&image->manifest_text), err))
        return context(err, "manifest");
    return blob_cache_name(cache, image->reference, &image->manifest_digest, image->manifest_text.len, media_type, err);
}

static bool is_loopback(const char *host, size_t len)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);

        if (len >= n && strncmp(host, names[i], n) == 0 && (len == n || host[n] == ':'))
            return true;
    }
    return false;
}

/* The name without tag and digest: up to an "@", then up to a ":" behind the last slash. */
static size_t name_length(const char *name)
{
    size_t len = strcspn(name, "@");

    for (size_t i = len; i > 0 && name[i - 1] != '/'; i--)
        if (name[i - 1] == ':')
            return i - 1;
    return len;
}

FALLIBLE node_image_url(const char *reference, const struct digest *blob, char out[static NODE_URL_MAX], struct err *err)
{
    const char        *slash    = strchr(reference, '/');
    size_t             host_len = slash ? (size_t) (slash - reference) : 0;
    size_t             name_len = slash ? name_length(slash + 1) : 0;
    struct digest_text digest   = digest_text(blob);

    if (host_len == 0 || name_len == 0 || name_len > 255 || host_len > 255 || strspn(reference, LOWER_AND_DIGITS ".-:[]") < host_len ||
        strspn(slash + 1, LOWER_AND_DIGITS "._-/") < name_len || strstr(slash, "..") || strstr(slash, "//"))
        return fail_with(err, ERR_MALFORMED, "image reference %.120s: HOST/NAME is wanted", reference);
    bool is_docker = host_len == strlen("docker.io") && strncmp(reference, "docker.io", host_len) == 0;
    (void) snprintf(out, NODE_URL_MAX, "%s://%.*s/v2/%.*s/blobs/%s", is_loopback(reference, host_len) ? "http" : "https",
                    is_docker ? (int) strlen("registry-1.docker.io") : (int) host_len,
                    is_docker ? "registry-1.docker.io" : reference, (int) name_len, slash + 1, digest.at); /* fits: lengths were checked */
    return true;
}
