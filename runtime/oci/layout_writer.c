#include "runtime/oci/layout_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define TAG_ANNOTATION "org.opencontainers.image.ref.name"
#define VERSION_TEXT   "{\"imageLayoutVersion\":\"1.0.0\"}"

enum { PATH_ROOM = LAYOUT_PATH_MAX + 192 }; /* a folder, "/blobs/sha512/" and 128 hex digits always fit */

static void blob_path(char out[static PATH_ROOM], const char *directory, const struct digest *digest)
{
    struct digest_text text = digest_text(digest);

    (void) snprintf(out, PATH_ROOM, "%s/blobs/%s/%s", directory, digest_algorithm_name(digest->algorithm),
                    digest_hex(&text));
}

FALLIBLE layout_make(const char *directory, struct err *err)
{
    char path[PATH_ROOM];

    (void) snprintf(path, sizeof path, "%s/blobs/sha256", directory);
    if (!directory_make(path, err))
        return false;
    (void) snprintf(path, sizeof path, "%s/oci-layout", directory);
    return access(path, F_OK) == 0 || file_write(path, bytes_of_text(VERSION_TEXT), 0644, err);
}

static void sink_begin(struct layout_sink *sink, struct layout_sink *out)
{
    digest_run_begin(&sink->digest, DIGEST_SHA256);
    *out  = *sink;
    *sink = NO_LAYOUT_SINK;
}

FALLIBLE layout_sink_open_named(const char *directory, struct layout_sink *out, struct err *err)
{
    AUTO(layout_sink) struct layout_sink sink = NO_LAYOUT_SINK;

    (void) snprintf(sink.temporary, sizeof sink.temporary, "%s/blobs/sha256/.new-XXXXXX", directory);
    sink.fd = mkostemp(sink.temporary, O_CLOEXEC);
    if (sink.fd < 0) {
        sink.temporary[0] = '\0';
        return err_os(err, "make a file in %.160s", directory);
    }
    sink_begin(&sink, out);
    return true;
}

FALLIBLE layout_sink_open(const char *directory, struct layout_sink *out, struct err *err)
{
    AUTO(layout_sink) struct layout_sink sink = NO_LAYOUT_SINK;
    char                                 path[PATH_ROOM];

    (void) snprintf(path, sizeof path, "%s/blobs/sha256", directory);
    sink.fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (sink.fd < 0) /* whatever the reason: if a name does not help either, it says why */
        return layout_sink_open_named(directory, out, err);
    sink_begin(&sink, out);
    return true;
}

FALLIBLE layout_sink_write(struct layout_sink *sink, struct bytes piece, struct err *err)
{
    digest_run_update(&sink->digest, piece);
    sink->size += piece.len;
    return write_all(sink->fd, piece, err);
}

/* A name to rename from: a link cannot replace what is there. Only this process uses names with its number. */
static FALLIBLE temporary_name(struct layout_sink *sink, const char *directory, struct err *err)
{
    char from[64];

    (void) snprintf(from, sizeof from, "/proc/self/fd/%d", sink->fd);
    (void) snprintf(sink->temporary, sizeof sink->temporary, "%s/blobs/sha256/.new-%ld", directory, (long) getpid());
    (void) unlink(sink->temporary); /* left by one that was killed between the two; else there is none */
    if (linkat(AT_FDCWD, from, AT_FDCWD, sink->temporary, AT_SYMLINK_FOLLOW) == 0)
        return true;
    sink->temporary[0] = '\0';
    return err_os(err, "name a file in %.160s", directory);
}

FALLIBLE layout_sink_keep(struct layout_sink *sink, const char *directory, struct descriptor *out, struct err *err)
{
    char path[PATH_ROOM];

    digest_run_end(&sink->digest, &out->digest);
    out->size = sink->size;
    blob_path(path, directory, &out->digest);
    if (fchmod(sink->fd, 0644) < 0 || fsync(sink->fd) < 0)
        return err_os(err, "keep %.160s", path);
    if (!sink->temporary[0] && !temporary_name(sink, directory, err))
        return false;
    if (rename(sink->temporary, path) < 0)
        return err_os(err, "keep %.160s", path);
    sink->temporary[0] = '\0';
    return true;
}

void layout_sink_free(struct layout_sink *sink)
{
    auto_fd(&sink->fd);
    auto_digest_run(&sink->digest);
    if (sink->temporary[0])
        (void) unlink(sink->temporary); /* a leftover is only clutter: no digest leads to it */
    *sink = NO_LAYOUT_SINK;
}

FALLIBLE layout_put_blob(const char *directory, struct bytes content, struct descriptor *out, struct err *err)
{
    AUTO(layout_sink) struct layout_sink sink = NO_LAYOUT_SINK;

    return layout_sink_open(directory, &sink, err) && layout_sink_write(&sink, content, err) &&
           layout_sink_keep(&sink, directory, out, err);
}

FALLIBLE layout_open_blob(const char *directory, const struct descriptor *blob, int *out_fd, struct err *err)
{
    char         path[PATH_ROOM];
    struct stat  st;
    AUTO(fd) int fd = NO_FD;

    blob_path(path, directory, &blob->digest);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "no blob %.200s", path) : err_os(err, "open %.160s", path);
    if ((uint64_t) st.st_size != blob->size)
        return fail_with(err, ERR_MALFORMED, "blob of %llu bytes; its descriptor says %llu",
                         (unsigned long long) st.st_size, (unsigned long long) blob->size);
    *out_fd = TAKE_FD(fd);
    return true;
}

static bool has_tag(struct json_object *entry, const char *tag)
{
    struct json_object *annotations = NULL, *found = NULL;

    if (!json_object_object_get_ex(entry, "annotations", &annotations) ||
        !json_object_object_get_ex(annotations, TAG_ANNOTATION, &found))
        return tag[0] == '\0';
    return strcmp(json_object_get_string(found), tag) == 0;
}

static struct json_object *entry_make(const struct descriptor *manifest, const char *tag)
{
    struct json_object *entry  = json_object_new_object();
    struct digest_text  digest = digest_text(&manifest->digest);

    json_add_text(entry, "mediaType", manifest->media_type);
    json_add_text(entry, "digest", digest.at);
    json_add(entry, "size", json_object_new_uint64(manifest->size));
    if (tag[0] != '\0') {
        struct json_object *annotations = json_object_new_object();

        json_add_text(annotations, TAG_ANNOTATION, tag);
        json_add(entry, "annotations", annotations);
    }
    return entry;
}

/* The index that is there, or an empty one. */
static FALLIBLE index_load(const char *path, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer           text  = { 0 };
    AUTO(image_index) struct image_index index = { 0 };
    struct json_object                  *document = NULL;

    if (file_read(path, OCI_DOCUMENT_MAX, &text, err)) {
        if (!oci_document_read(buffer_bytes(&text), &document, err) || !image_index_read_take(document, &index, err))
            return contextf(err, "%.100s", path);
        *out = json_object_get(index.document);
        return true;
    }
    if (err->kind != ERR_NOT_FOUND)
        return false;
    document = json_object_new_object();
    json_add(document, "schemaVersion", json_object_new_int(2));
    json_add(document, "manifests", json_object_new_array());
    *out = document;
    return true;
}

FALLIBLE layout_name_manifest(const char *directory, const struct descriptor *manifest, const char *tag,
                              struct err *err)
{
    AUTO(json) struct json_object *index     = NULL;
    AUTO(buffer) struct buffer     text      = { 0 };
    struct json_object            *manifests = NULL;
    char                           path[PATH_ROOM];

    (void) snprintf(path, sizeof path, "%s/index.json", directory);
    if (!index_load(path, &index, err) || !json_get(index, "manifests", json_type_array, &manifests, err))
        return false;
    for (size_t i = json_object_array_length(manifests); i > 0; i--)
        if (has_tag(json_object_array_get_idx(manifests, i - 1), tag))
            (void) json_object_array_del_idx(manifests, i - 1, 1); /* the index is in range */
    (void) json_object_array_add(manifests, entry_make(manifest, tag)); /* aborts rather than fail, as all of json-c here */
    json_write(index, &text);
    return file_write(path, buffer_bytes(&text), 0644, err);
}
