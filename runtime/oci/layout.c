#include "runtime/oci/layout.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { DOCUMENT_MAX = 4 << 20 }; /* bytes of an index; registries refuse more as well */

#define TAG_ANNOTATION "org.opencontainers.image.ref.name"

static bool is_tag(const char *text)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+/:@";

    return text[0] != 0 && strlen(text) <= LAYOUT_TAG_MAX && text[strspn(text, legal)] == 0;
}

FALLIBLE layout_reference_read(const char *text, struct layout_reference *out, struct err *err)
{
    const char *path = strncmp(text, "oci:", 4) == 0 ? text + 4 : NULL;
    const char *colon;
    size_t      len;

    if (!path) {
        const char *name = strncmp(text, "docker://", 9) == 0 ? text + 9 : text;

        return fail_with(err, ERR_CONFIG, "image \"%.80s\": oci:DIR[:TAG] is wanted; for a registry's image, first: skopeo copy docker://%.60s oci:DIR:TAG",
                         text, name);
    }
    colon = strchr(path, ':'); /* the first, as skopeo has it: a tag may be a whole REGISTRY/NAME:TAG */
    len   = colon ? (size_t) (colon - path) : strlen(path);
    if (len == 0 || len >= sizeof out->directory || (colon && !is_tag(colon + 1)))
        return fail_with(err, ERR_CONFIG, "image \"%.120s\": oci:DIR[:TAG] is wanted", text);
    *out = (struct layout_reference){ 0 };
    memcpy(out->directory, path, len);
    if (colon)
        memcpy(out->tag, colon + 1, strlen(colon + 1));
    return true;
}

FALLIBLE layout_read_blob(const char *directory, const char *digest, size_t len_max, struct buffer *out,
                          struct err *err)
{
    char          path[LAYOUT_PATH_MAX + 96];
    struct digest wanted, found;
    const char   *hex = strchr(digest, ':');

    if (!digest_read(bytes_of_text(digest), &wanted, err))
        return false;
    (void) snprintf(path, sizeof path, "%s/blobs/%.*s/%s", directory, (int) (hex - digest), digest, hex + 1); /* fits */
    if (!file_read(path, len_max, out, err))
        return false;
    digest_of(buffer_bytes(out), wanted.algorithm, &found);
    return digest_equal(&wanted, &found) || fail_with(err, ERR_UNTRUSTED, "blob %s has another content", digest);
}

static const char *tag_of(const struct index_entry *entry)
{
    const char *tag = descriptor_annotation(&entry->descriptor, TAG_ANNOTATION);

    return tag ? tag : "";
}

static bool fail_with_tags(const struct image_index *index, const struct layout_reference *reference, struct err *err)
{
    AUTO(buffer) struct buffer tags = { 0 };

    for (size_t i = 0; i < index->n_entries && tags.len < 100; i++)
        buffer_printf(&tags, "%s%.40s", i > 0 ? ", " : "", tag_of(&index->entries[i])[0] ? tag_of(&index->entries[i]) : "(none)");
    if (reference->tag[0])
        return fail_with(err, ERR_NOT_FOUND, "%.80s has no tag \"%.60s\"; it has: %.100s", reference->directory,
                         reference->tag, index->n_entries > 0 ? buffer_text(&tags) : "no image");
    if (index->n_entries == 0)
        return fail_with(err, ERR_NOT_FOUND, "%.80s has no image", reference->directory);
    return fail_with(err, ERR_CONFIG, "%.80s has %zu images; name one as oci:%.60s:TAG (%.60s)", reference->directory,
                     index->n_entries, reference->directory, buffer_text(&tags));
}

/* Under whatever names. */
static bool is_one_image(const struct image_index *index)
{
    for (size_t i = 1; i < index->n_entries; i++)
        if (!digest_equal(&index->entries[i].descriptor.digest, &index->entries[0].descriptor.digest))
            return false;
    return index->n_entries > 0;
}

static FALLIBLE choose(const struct image_index *index, const struct layout_reference *reference,
                       struct digest_text *out, struct err *err)
{
    const struct index_entry *chosen = NULL;

    for (size_t i = 0; i < index->n_entries; i++)
        if (reference->tag[0] ? strcmp(tag_of(&index->entries[i]), reference->tag) == 0 : is_one_image(index))
            chosen = chosen ? chosen : &index->entries[i];
    if (!chosen)
        return fail_with_tags(index, reference, err);
    *out = digest_text(&chosen->descriptor.digest);
    return true;
}

static FALLIBLE read_index(const char *directory, struct image_index *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[LAYOUT_PATH_MAX + 32];
    struct json_object        *document = NULL;

    (void) snprintf(path, sizeof path, "%s/index.json", directory); /* fits */
    if (!file_read(path, DOCUMENT_MAX, &text, err))
        return err->kind == ERR_NOT_FOUND ? fail_with(err, ERR_NOT_FOUND, "%.160s is not an OCI image layout (no index.json)", directory) : false;
    return oci_document_read(buffer_bytes(&text), &document, err) && image_index_read_take(document, out, err);
}

/* A blob that the layout's index names is a manifest, or an index with one manifest per platform. */
static FALLIBLE resolve(const char *directory, struct digest_text *digest, struct err *err)
{
    AUTO(buffer) struct buffer          text  = { 0 };
    AUTO(image_index) struct image_index index = { 0 };
    struct json_object                 *document = NULL;
    const struct descriptor            *found;
    enum oci_kind                       kind = OCI_INDEX;

    if (!layout_read_blob(directory, digest->at, DOCUMENT_MAX, &text, err) ||
        !oci_document_read(buffer_bytes(&text), &document, err))
        return false;
    if (!oci_kind_of(document, &kind, err) || kind == OCI_MANIFEST) {
        json_object_put(document);
        return kind == OCI_MANIFEST;
    }
    if (!image_index_read_take(document, &index, err) ||
        !image_index_choose(&index, "linux", "amd64", &found, err))
        return false;
    *digest = digest_text(&found->digest);
    return true;
}

static FALLIBLE give_sha256(const struct digest_text *digest, char out[static LAYOUT_DIGEST_LEN], struct err *err)
{
    if (strlen(digest->at) != LAYOUT_DIGEST_LEN - 1)
        return fail_with(err, ERR_UNSUPPORTED, "manifest digest %s: sha256 is wanted", digest->at);
    memcpy(out, digest->at, LAYOUT_DIGEST_LEN);
    return true;
}

FALLIBLE layout_find_manifest(const struct layout_reference *reference, char out[static LAYOUT_DIGEST_LEN],
                              struct err *err)
{
    AUTO(image_index) struct image_index index = { 0 };
    struct digest_text                   digest = { { 0 } };

    if (!read_index(reference->directory, &index, err) || !choose(&index, reference, &digest, err) ||
        !resolve(reference->directory, &digest, err))
        return false;
    return give_sha256(&digest, out, err);
}

FALLIBLE layout_resolve(const char *directory, const char *digest, char out[static LAYOUT_DIGEST_LEN], struct err *err)
{
    struct digest      read;
    struct digest_text text;

    if (!digest_read(bytes_of_text(digest), &read, err))
        return false;
    text = digest_text(&read);
    return resolve(directory, &text, err) && give_sha256(&text, out, err);
}
