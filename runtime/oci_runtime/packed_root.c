#include "runtime/oci_runtime/packed_root.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "runtime/oci/layout_writer.h"

enum { BLOCK_LEN = 64 << 10 };
#define PACKED_MAX ((uint64_t) 16 << 30)

DEFINE_AUTO(archive, struct archive *, (void) archive_free)
DEFINE_AUTO(link_resolver, struct archive_entry_linkresolver *, archive_entry_linkresolver_free)
DEFINE_AUTO(archive_entry, struct archive_entry *, archive_entry_free)

struct packing {
    const struct packed_root_options *options;
    struct layout_sink                sink;
    struct archive                   *from, *to;
    struct archive_entry_linkresolver *links; /* which file was there under another name */
    struct err                        err; /* of the sink */
};

static la_ssize_t write_piece(struct archive *to, void *owner, const void *piece, size_t len)
{
    struct packing *p = owner;

    if (p->sink.size > PACKED_MAX - len)
        (void) fail_with(&p->err, ERR_LIMIT, "a root file system over %" PRIu64 " GiB", PACKED_MAX >> 30); /* told below */
    else if (layout_sink_write(&p->sink, (struct bytes){ piece, len }, &p->err))
        return (la_ssize_t) len;
    archive_set_error(to, EIO, "%s", p->err.text);
    return ARCHIVE_FATAL;
}

static bool fail_archive(struct packing *p, struct archive *archive, struct err *err)
{
    if (p->err.kind != ERR_NONE)
        *err = p->err;
    else
        (void) fail_with(err, ERR_OS, "%s", archive_error_string(archive)); /* false is what it returns */
    return context(err, "pack the root file system");
}

static FALLIBLE copy_content(struct packing *p, struct err *err)
{
    const void *piece;
    size_t      len;
    la_int64_t  offset;
    int         code;

    while ((code = archive_read_data_block(p->from, &piece, &len, &offset)) == ARCHIVE_OK)
        if (archive_write_data(p->to, piece, len) < 0)
            return fail_archive(p, p->to, err);
    return code == ARCHIVE_EOF || fail_archive(p, p->from, err);
}

/* Sockets cannot be archived; the root itself is whatever the guest makes. */
static FALLIBLE copy_entry(struct packing *p, struct archive_entry *entry, struct err *err)
{
    const char *path = archive_entry_pathname(entry);
    size_t      root = strlen(p->options->root);

    if (strlen(path) <= root + 1 || archive_entry_filetype(entry) == AE_IFSOCK)
        return true;
    AUTO(text) char *inside = strdup(path + root + 1);
    if (!inside)
        abort();
    archive_entry_set_pathname(entry, inside);
    archive_entry_sparse_clear(entry);
    struct archive_entry *later = NULL;
    archive_entry_linkify(p->links, &entry, &later); /* a tar archive has nothing that comes later */
    if (archive_write_header(p->to, entry) != ARCHIVE_OK)
        return fail_archive(p, p->to, err);
    return archive_entry_size(entry) == 0 || archive_entry_filetype(entry) != AE_IFREG || copy_content(p, err);
}

static FALLIBLE copy_tree(struct packing *p, struct err *err)
{
    AUTO(archive_entry) struct archive_entry *entry = archive_entry_new();
    int                                       code;

    while ((code = archive_read_next_header2(p->from, entry)) == ARCHIVE_OK) {
        if (archive_read_disk_can_descend(p->from) && archive_read_disk_descend(p->from) != ARCHIVE_OK)
            return fail_archive(p, p->from, err);
        if (!copy_entry(p, entry, err))
            return false;
    }
    return code == ARCHIVE_EOF || fail_archive(p, p->from, err);
}

static FALLIBLE pack(struct packing *p, struct descriptor *layer, struct err *err)
{
    AUTO(archive) struct archive *from = archive_read_disk_new(), *to = archive_write_new();
    AUTO(link_resolver) struct archive_entry_linkresolver *links = archive_entry_linkresolver_new();

    p->from  = from;
    p->to    = to;
    p->links = links;
    archive_entry_linkresolver_set_strategy(links, ARCHIVE_FORMAT_TAR_PAX_RESTRICTED);
    if (archive_read_disk_set_symlink_physical(from) != ARCHIVE_OK ||
        archive_read_disk_set_behavior(from, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS | ARCHIVE_READDISK_NO_ACL |
                                                 ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_FFLAGS | ARCHIVE_READDISK_NO_SPARSE) != ARCHIVE_OK ||
        archive_read_disk_open(from, p->options->root) != ARCHIVE_OK)
        return fail_archive(p, from, err);
    if (archive_write_set_format_pax_restricted(to) != ARCHIVE_OK || archive_write_set_bytes_per_block(to, BLOCK_LEN) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(to, 1) != ARCHIVE_OK || archive_write_open(to, p, NULL, write_piece, NULL) != ARCHIVE_OK)
        return fail_archive(p, to, err);
    if (!copy_tree(p, err))
        return false;
    if (archive_write_close(to) != ARCHIVE_OK)
        return fail_archive(p, to, err);
    return layout_sink_keep(&p->sink, p->options->layout, layer, err);
}

static void add_descriptor(struct json_object *to, const char *name, const char *media_type, const struct descriptor *d)
{
    struct json_object *object = json_object_new_object();
    struct digest_text  digest = digest_text(&d->digest);

    json_add_text(object, "mediaType", media_type);
    json_add_text(object, "digest", digest.at);
    json_add(object, "size", json_object_new_uint64(d->size));
    if (json_object_is_type(to, json_type_array)) {
        if (json_object_array_add(to, object) != 0)
            abort();
    } else
        json_add(to, name, object);
}

static FALLIBLE put_json(const char *layout, struct json_object *document, struct descriptor *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    json_write(document, &text);
    return layout_put_blob(layout, buffer_bytes(&text), out, err);
}

static FALLIBLE put_config(const struct packed_root_options *o, const struct descriptor *layer, struct descriptor *out, struct err *err)
{
    AUTO(json) struct json_object *config = json_object_new_object();
    struct json_object *run = json_object_new_object(), *root = json_object_new_object(), *ids = json_object_new_array();
    struct digest_text  id = digest_text(&layer->digest);

    json_add_text(run, "User", o->user);
    json_add_text(run, "WorkingDir", o->cwd);
    if (json_object_array_add(ids, json_object_new_string(id.at)) != 0)
        abort();
    json_add_text(root, "type", "layers");
    json_add(root, "diff_ids", ids);
    json_add_text(config, "architecture", "amd64");
    json_add_text(config, "os", "linux");
    json_add(config, "config", run);
    json_add(config, "rootfs", root);
    return put_json(o->layout, config, out, err);
}

FALLIBLE packed_root_make(const struct packed_root_options *options, char manifest[static LAYOUT_DIGEST_LEN], struct err *err)
{
    struct packing                 p        = { .options = options, .sink = NO_LAYOUT_SINK };
    AUTO(json) struct json_object *document = json_object_new_object();
    struct json_object            *layers   = json_object_new_array();
    struct descriptor              layer = { 0 }, config = { 0 }, made = { 0 };

    json_add_text(document, "mediaType", "application/vnd.oci.image.manifest.v1+json");
    json_add(document, "schemaVersion", json_object_new_int(2));
    json_add(document, "layers", layers);
    bool packed = layout_make(options->layout, err) && layout_sink_open(options->layout, &p.sink, err) && pack(&p, &layer, err);
    layout_sink_free(&p.sink);
    if (!packed || !put_config(options, &layer, &config, err))
        return false;
    add_descriptor(layers, NULL, "application/vnd.oci.image.layer.v1.tar", &layer);
    add_descriptor(document, "config", "application/vnd.oci.image.config.v1+json", &config);
    if (!put_json(options->layout, document, &made, err))
        return false;
    struct digest_text text = digest_text(&made.digest);
    memcpy(manifest, text.at, LAYOUT_DIGEST_LEN);
    return true;
}
