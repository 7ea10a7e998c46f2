#include "runtime/oci/remote_digest.h"

#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "keys/ocicrypt/digest.h"
#include "keys/ocicrypt/manifest.h"

enum { SKOPEO_TIMEOUT_MS = 120000 };

static FALLIBLE digest_give(const struct digest *digest, char out[static LAYOUT_DIGEST_LEN], struct err *err)
{
    struct digest_text text = digest_text(digest);

    if (digest->algorithm != DIGEST_SHA256)
        return fail_with(err, ERR_UNSUPPORTED, "manifest %.80s: a sha256 digest is wanted", text.at);
    memcpy(out, text.at, LAYOUT_DIGEST_LEN);
    return true;
}

static FALLIBLE digest_chosen(struct json_object *document, char out[static LAYOUT_DIGEST_LEN], struct err *err)
{
    AUTO(image_index) struct image_index index  = { 0 };
    const struct descriptor             *chosen = NULL;

    return image_index_read_take(json_object_get(document), &index, err) &&
           image_index_choose(&index, "linux", "amd64", &chosen, err) && digest_give(&chosen->digest, out, err);
}

FALLIBLE remote_digest_read(struct bytes raw, char out[static LAYOUT_DIGEST_LEN], struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    AUTO(manifest) struct manifest manifest = { 0 };
    enum oci_kind                  kind;
    struct digest                  digest;

    if (!oci_document_read(raw, &document, err) || !oci_kind_of(document, &kind, err))
        return false;
    if (kind == OCI_INDEX)
        return digest_chosen(document, out, err);
    if (!manifest_read_take(json_object_get(document), &manifest, err))
        return false;
    digest_of(raw, DIGEST_SHA256, &digest);
    return digest_give(&digest, out, err);
}

FALLIBLE remote_digest_find(const char *name, char out[static LAYOUT_DIGEST_LEN], struct err *err)
{
    AUTO(buffer) struct buffer raw = { 0 };
    char                       reference[LAYOUT_PATH_MAX];
    int                        exit_code;

    if ((size_t) snprintf(reference, sizeof reference, "docker://%s", name) >= sizeof reference)
        return fail_with(err, ERR_LIMIT, "an image's name of over %d characters", LAYOUT_PATH_MAX);
    const char *const argv[] = { "skopeo", "inspect", "--raw", reference, NULL };
    if (!process_run(argv, (struct bytes){ 0 }, OCI_DOCUMENT_MAX, SKOPEO_TIMEOUT_MS, &raw, &exit_code, err))
        return err->kind == ERR_NOT_FOUND ? fail_with(err, ERR_NOT_FOUND, "skopeo is not installed: apt-get install skopeo, or give the digest")
                                          : context(err, "skopeo");
    if (exit_code != 0)
        return fail_with(err, ERR_OS, "skopeo inspect %.160s: exit code %d", reference, exit_code);
    return remote_digest_read(buffer_bytes(&raw), out, err) || contextf(err, "%.160s", name);
}
