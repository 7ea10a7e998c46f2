#include "runtime/snapshotter/snapshot_service.h"

#include <errno.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/api/message.h"
#include "runtime/snapshotter/snapshots.pb-c.h"

#define SERVICE_PREFIX "/containerd.services.snapshots.v1.Snapshots/"
#define TARGET_LABEL   "containerd.io/snapshot.ref"

enum { PARENTS_MAX = 128, OPTIONS_MAX = 3 }; /* overlayfs takes 500 lower folders, a page of options */

struct call {
    struct snapshot_service *service;
    struct grpc_reply       *reply;
};

/* ---- answers ---- */

static void fail(struct call *c, const struct err *why)
{
    static const struct { enum err_kind kind; enum grpc_status status; } rows[] = {
        { ERR_NOT_FOUND, GRPC_NOT_FOUND }, { ERR_MALFORMED, GRPC_INVALID_ARGUMENT }, { ERR_LIMIT, GRPC_RESOURCE_EXHAUSTED },
    };
    enum grpc_status status = GRPC_INTERNAL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == why->kind)
            status = rows[i].status;
    grpc_reply_fail(c->reply, status, why->text);
}

static void refuse(struct call *c, enum grpc_status status, const char *fmt, const char *name)
{
    struct err text;

    (void) fail_with(&text, ERR_NONE, "%s%.200s", fmt, name); /* only fills the record */
    grpc_reply_fail(c->reply, status, text.text);
}

static void answer_empty(struct call *c)
{
    Snapshots__Empty empty = SNAPSHOTS__EMPTY__INIT;

    grpc_reply_add(c->reply, &empty.base);
}

/* ---- labels ---- */

static const char *label_of(struct json_object *labels, const char *name)
{
    return json_object_get_string(json_object_object_get(labels, name));
}

static FALLIBLE read_labels(Snapshots__Label *const *from, size_t n, struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *labels = json_object_new_object();

    if (n > SNAPSHOT_LABELS_MAX)
        return fail_with(err, ERR_LIMIT, "over %d labels", SNAPSHOT_LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (strlen(from[i]->key) + strlen(from[i]->value) > SNAPSHOT_LABEL_LEN_MAX)
            return fail_with(err, ERR_LIMIT, "a label over %d bytes", SNAPSHOT_LABEL_LEN_MAX);
        json_object_object_del(labels, from[i]->key); /* of a map the last counts */
        json_add_text(labels, from[i]->key, from[i]->value);
    }
    *out = TAKE(labels);
    return true;
}

/* ---- what a snapshot is, as a message ---- */

struct info_message {
    Snapshots__Info      info;
    Snapshots__Timestamp created, updated;
    Snapshots__Label    *labels;    /* owned, with the next */
    Snapshots__Label   **labels_at;
};

static void fill_time(Snapshots__Timestamp *to, int64_t ns)
{
    *to         = (Snapshots__Timestamp) SNAPSHOTS__TIMESTAMP__INIT;
    to->seconds = ns / 1000000000;
    to->nanos   = (int32_t) (ns % 1000000000);
}

/* Borrows from `s`. */
static void info_fill(const struct snapshot *s, struct info_message *m)
{
    size_t n = (size_t) json_object_object_length(s->labels), i = 0;

    m->info = (Snapshots__Info) SNAPSHOTS__INFO__INIT;
    fill_time(&m->created, s->created_ns);
    fill_time(&m->updated, s->updated_ns);
    m->labels    = calloc(n + 1, sizeof *m->labels);
    m->labels_at = calloc(n + 1, sizeof *m->labels_at);
    if (!m->labels || !m->labels_at)
        abort();
    json_object_object_foreach(s->labels, key, value) {
        m->labels[i]       = (Snapshots__Label) SNAPSHOTS__LABEL__INIT;
        m->labels[i].key   = key;
        m->labels[i].value = (char *) (uintptr_t) json_object_get_string(value); /* written to the wire only */
        m->labels_at[i]    = &m->labels[i];
        i++;
    }
    m->info.name       = s->name;
    m->info.parent     = s->parent;
    m->info.kind       = (int32_t) s->kind;
    m->info.created_at = &m->created;
    m->info.updated_at = &m->updated;
    m->info.labels     = m->labels_at;
    m->info.n_labels   = n;
}

static void info_free(struct info_message *m)
{
    free(m->labels);
    free(m->labels_at);
}

static void answer_stat(struct call *c, const struct snapshot *s)
{
    Snapshots__StatResponse answer = SNAPSHOTS__STAT_RESPONSE__INIT;
    struct info_message     info;

    info_fill(s, &info);
    answer.info = &info.info;
    grpc_reply_add(c->reply, &answer.base);
    info_free(&info);
}

/* ---- folders and mounts ---- */

static void folder_of(const struct snapshot_service *service, const struct snapshot *s, const char *part, struct buffer *out)
{
    buffer_printf(out, "%s/snapshots/%lld%s", service->root, (long long) s->id, part);
}

static FALLIBLE make_folder(const struct snapshot_service *service, const struct snapshot *s, const char *part, mode_t mode,
                            struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    folder_of(service, s, part, &path);
    if (mkdir(buffer_text(&path), mode) == 0)
        return chmod(buffer_text(&path), mode) == 0 || err_os(err, "%s", buffer_text(&path));
    return errno == EEXIST || err_os(err, "make %s", buffer_text(&path));
}

static FALLIBLE make_folders(const struct snapshot_service *service, const struct snapshot *s, struct err *err)
{
    return make_folder(service, s, "", 0711, err) && make_folder(service, s, "/fs", 0755, err) &&
           make_folder(service, s, "/work", 0711, err);
}

/* The folders of the unpacked layers below, nearest first, parted by colons. */
static FALLIBLE find_lower(struct call *c, const struct snapshot *s, struct buffer *out, size_t *n, struct err *err)
{
    AUTO(text) char *name = strdup(s->parent);

    if (!name)
        abort();
    *n = 0;
    for (size_t depth = 0; *name; depth++) {
        AUTO(snapshot) struct snapshot parent = { 0 };

        if (depth == PARENTS_MAX)
            return fail_with(err, ERR_LIMIT, "over %d layers", PARENTS_MAX);
        if (!snapshot_store_find(c->service->store, name, &parent, err))
            return false;
        if (!parent.is_skipped) {
            if (out->len > 0)
                buffer_append_text(out, ":");
            folder_of(c->service, &parent, "/fs", out);
            ++*n;
        }
        free(name);
        name = TAKE(parent.parent);
    }
    return true;
}

static void answer_mount(struct call *c, const char *type, const char *source, char *const *options, size_t n)
{
    Snapshots__MountsResponse answer = SNAPSHOTS__MOUNTS_RESPONSE__INIT;
    Snapshots__Mount          mount  = SNAPSHOTS__MOUNT__INIT, *at = &mount;

    mount.type      = (char *) (uintptr_t) type;   /* written to the wire only, as the next two */
    mount.source    = (char *) (uintptr_t) source;
    mount.options   = (char **) (uintptr_t) options;
    mount.n_options = n;
    answer.mounts   = &at;
    answer.n_mounts = 1;
    grpc_reply_add(c->reply, &answer.base);
}

static void answer_bind(struct call *c, const char *source, bool is_writable)
{
    char  rw[] = "rw", ro[] = "ro", rbind[] = "rbind";
    char *options[] = { is_writable ? rw : ro, rbind };

    answer_mount(c, "bind", source, options, 2);
}

static void answer_overlay(struct call *c, const struct snapshot *s, struct buffer *lower)
{
    AUTO(buffer) struct buffer work = { 0 }, upper = { 0 }, lowerdir = { 0 };
    char                      *options[OPTIONS_MAX];
    size_t                     n = 0;

    if (s->kind == SNAPSHOT_ACTIVE) {
        buffer_append_text(&work, "workdir=");
        folder_of(c->service, s, "/work", &work);
        buffer_append_text(&upper, "upperdir=");
        folder_of(c->service, s, "/fs", &upper);
        options[n++] = (char *) (uintptr_t) buffer_text(&work);  /* written to the wire only */
        options[n++] = (char *) (uintptr_t) buffer_text(&upper); /* as above */
    }
    buffer_printf(&lowerdir, "lowerdir=%s", buffer_text(lower));
    options[n++] = (char *) (uintptr_t) buffer_text(&lowerdir); /* as above */
    answer_mount(c, "overlay", "overlay", options, n);
}

static void answer_mounts(struct call *c, const struct snapshot *s)
{
    AUTO(buffer) struct buffer lower = { 0 }, own = { 0 };
    size_t                     n;
    struct err                 err;

    if (!find_lower(c, s, &lower, &n, &err) || !make_folders(c->service, s, &err)) {
        fail(c, &err);
        return;
    }
    folder_of(c->service, s, "/fs", &own);
    if (n == 0)
        answer_bind(c, buffer_text(&own), s->kind == SNAPSHOT_ACTIVE);
    else if (n == 1 && s->kind == SNAPSHOT_VIEW)
        answer_bind(c, buffer_text(&lower), false);
    else
        answer_overlay(c, s, &lower);
}

FALLIBLE snapshot_service_sweep(const struct snapshot_service *service, struct err *err)
{
    AUTO(buffer) struct buffer path = { 0 };

    buffer_printf(&path, "%s/snapshots", service->root);
    if (!directory_make(buffer_text(&path), err))
        return false;
    AUTO(dir) DIR *folders = opendir(buffer_text(&path));
    if (!folders)
        return err_os(err, "%s", buffer_text(&path));
    for (struct dirent *entry; (entry = readdir(folders));) {
        AUTO(buffer) struct buffer folder = { 0 };
        bool                       is_known;

        if (entry->d_name[0] == '.')
            continue;
        if (!snapshot_store_has_id(service->store, strtoll(entry->d_name, NULL, 10), &is_known, err))
            return false;
        buffer_printf(&folder, "%s/%s", buffer_text(&path), entry->d_name);
        if (!is_known && !directory_remove(buffer_text(&folder), err))
            return false;
    }
    return true;
}

/* ---- the calls ---- */

static FALLIBLE check_name(const char *name, struct err *err)
{
    size_t len = strlen(name);

    return (len > 0 && len <= SNAPSHOT_NAME_MAX) || fail_with(err, ERR_MALFORMED, "a snapshot's name of %zu bytes", len);
}

static FALLIBLE exists(struct call *c, const char *name, bool *out, struct err *err)
{
    AUTO(snapshot) struct snapshot found = { 0 };

    *out = snapshot_store_find(c->service->store, name, &found, err);
    return *out || err->kind == ERR_NOT_FOUND;
}

/*
 * Answers itself when the parent will not do. containerd knows a layer by its plain content, whoever packed it how: a
 * layer of an encrypted image stands for the same layer of a plain one, and is not there.
 */
static bool parent_is_good(struct call *c, const char *name, bool is_layer)
{
    AUTO(snapshot) struct snapshot parent = { 0 };
    struct err                     err;

    if (!*name)
        return true;
    if (!snapshot_store_find(c->service->store, name, &parent, &err)) {
        fail(c, &err);
        return false;
    }
    if (parent.kind == SNAPSHOT_COMMITTED && !(is_layer && parent.is_skipped))
        return true;
    if (parent.kind == SNAPSHOT_COMMITTED)
        refuse(c, GRPC_FAILED_PRECONDITION, "left packed here, since an encrypted image has it too: ", name);
    else
        refuse(c, GRPC_INVALID_ARGUMENT, "not committed: parent ", name);
    return false;
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        abort();
    return copy;
}

static void skip_layer(struct call *c, const char *target, const char *parent, struct json_object *labels)
{
    AUTO(snapshot) struct snapshot s = { .name = copy_of(target), .parent = copy_of(parent), .kind = SNAPSHOT_COMMITTED,
                                         .is_skipped = true, .labels = json_object_get(labels) };
    bool       is_there;
    struct err err;

    if (!check_name(target, &err) || !exists(c, target, &is_there, &err) ||
        (!is_there && !snapshot_store_add(c->service->store, &s, &err)))
        fail(c, &err);
    else
        refuse(c, GRPC_ALREADY_EXISTS, "target snapshot ", target);
}

static void begin(struct call *c, const Snapshots__PrepareRequest *asked, enum snapshot_kind kind)
{
    AUTO(json) struct json_object *labels = NULL;
    bool                           is_there;
    struct err                     err;

    if (!check_name(asked->key, &err) || !read_labels(asked->labels, asked->n_labels, &labels, &err) ||
        !exists(c, asked->key, &is_there, &err)) {
        fail(c, &err);
        return;
    }
    if (is_there) {
        refuse(c, GRPC_ALREADY_EXISTS, "snapshot ", asked->key);
        return;
    }
    const char *target       = kind == SNAPSHOT_ACTIVE ? label_of(labels, TARGET_LABEL) : NULL;
    bool        stays_packed = target && c->service->stays_packed(c->service->owner, labels);
    if (!parent_is_good(c, asked->parent, target && !stays_packed))
        return;
    if (stays_packed) {
        skip_layer(c, target, asked->parent, labels);
        return;
    }
    AUTO(snapshot) struct snapshot s = { .name = copy_of(asked->key), .parent = copy_of(asked->parent), .kind = kind,
                                         .labels = TAKE(labels) };
    if (snapshot_store_add(c->service->store, &s, &err))
        answer_mounts(c, &s);
    else
        fail(c, &err);
}

static void prepare(struct call *c, const ProtobufCMessage *request)
{
    begin(c, (const Snapshots__PrepareRequest *) request, SNAPSHOT_ACTIVE);
}

static void view(struct call *c, const ProtobufCMessage *request)
{
    begin(c, (const Snapshots__PrepareRequest *) request, SNAPSHOT_VIEW);
}

/* The snapshot that a request names by its key; answers itself when there is none. */
static bool find(struct call *c, const ProtobufCMessage *request, struct snapshot *out)
{
    struct err err;

    if (snapshot_store_find(c->service->store, ((const Snapshots__KeyRequest *) request)->key, out, &err))
        return true;
    fail(c, &err);
    return false;
}

static void mounts(struct call *c, const ProtobufCMessage *request)
{
    AUTO(snapshot) struct snapshot s = { 0 };

    if (!find(c, request, &s))
        return;
    if (s.kind == SNAPSHOT_COMMITTED)
        refuse(c, GRPC_FAILED_PRECONDITION, "committed, it has no mounts: ", s.name);
    else
        answer_mounts(c, &s);
}

static void commit(struct call *c, const ProtobufCMessage *request)
{
    const Snapshots__CommitRequest *asked = (const Snapshots__CommitRequest *) request;
    AUTO(snapshot) struct snapshot  s     = { 0 };
    AUTO(json) struct json_object  *labels = NULL;
    bool                            is_there;
    struct err                      err;

    if (!check_name(asked->name, &err) || !read_labels(asked->labels, asked->n_labels, &labels, &err) ||
        !snapshot_store_find(c->service->store, asked->key, &s, &err) || !exists(c, asked->name, &is_there, &err)) {
        fail(c, &err);
        return;
    }
    if (is_there || s.kind != SNAPSHOT_ACTIVE) {
        refuse(c, is_there ? GRPC_ALREADY_EXISTS : GRPC_FAILED_PRECONDITION, is_there ? "snapshot " : "not active: ",
               is_there ? asked->name : s.name);
        return;
    }
    free(s.name);
    s.name = copy_of(asked->name);
    s.kind = SNAPSHOT_COMMITTED;
    json_object_put(s.labels);
    s.labels = TAKE(labels);
    if (snapshot_store_change(c->service->store, &s, &err))
        answer_empty(c);
    else
        fail(c, &err);
}

/* First out of the database: a folder that stays behind is swept at the next start. */
static void remove_snapshot(struct call *c, const ProtobufCMessage *request)
{
    AUTO(snapshot) struct snapshot s      = { 0 };
    AUTO(buffer) struct buffer     folder = { 0 };
    bool                           has_children;
    struct err                     err;

    if (!find(c, request, &s))
        return;
    if (!snapshot_store_has_children(c->service->store, s.name, &has_children, &err)) {
        fail(c, &err);
        return;
    }
    if (has_children) {
        refuse(c, GRPC_FAILED_PRECONDITION, "it has children: snapshot ", s.name);
        return;
    }
    folder_of(c->service, &s, "", &folder);
    if (!snapshot_store_remove(c->service->store, &s, &err) || !directory_remove(buffer_text(&folder), &err))
        fail(c, &err);
    else
        answer_empty(c);
}

static void stat_snapshot(struct call *c, const ProtobufCMessage *request)
{
    AUTO(snapshot) struct snapshot s = { 0 };

    if (find(c, request, &s))
        answer_stat(c, &s);
}

/* Labels are all that can be changed: all of them, or those that the mask names. */
static FALLIBLE apply_update(struct snapshot *s, struct json_object *labels, const Snapshots__FieldMask *mask, struct err *err)
{
    static const char prefix[] = "labels.";

    if (!mask || mask->n_paths == 0) {
        json_object_put(s->labels);
        s->labels = json_object_get(labels);
        return true;
    }
    for (size_t i = 0; i < mask->n_paths; i++) {
        const char *path = mask->paths[i];

        if (strcmp(path, "labels") == 0) {
            json_object_put(s->labels);
            s->labels = json_object_get(labels);
        } else if (strncmp(path, prefix, sizeof prefix - 1) == 0) {
            const char *name = path + sizeof prefix - 1, *value = label_of(labels, name);

            json_object_object_del(s->labels, name);
            if (value)
                json_add_text(s->labels, name, value);
        } else
            return fail_with(err, ERR_MALFORMED, "field %.80s cannot be changed", path);
    }
    return (size_t) json_object_object_length(s->labels) <= SNAPSHOT_LABELS_MAX ||
           fail_with(err, ERR_LIMIT, "over %d labels", SNAPSHOT_LABELS_MAX);
}

static void update(struct call *c, const ProtobufCMessage *request)
{
    const Snapshots__UpdateRequest *asked  = (const Snapshots__UpdateRequest *) request;
    AUTO(snapshot) struct snapshot  s      = { 0 };
    AUTO(json) struct json_object  *labels = NULL;
    struct err                      err;

    if (!asked->info)
        refuse(c, GRPC_INVALID_ARGUMENT, "info is missing", "");
    else if (read_labels(asked->info->labels, asked->info->n_labels, &labels, &err) &&
             snapshot_store_find(c->service->store, asked->info->name, &s, &err) &&
             apply_update(&s, labels, asked->update_mask, &err) && snapshot_store_change(c->service->store, &s, &err))
        answer_stat(c, &s);
    else
        fail(c, &err);
}

static bool list_one(void *owner, const struct snapshot *s)
{
    struct call            *c    = owner;
    Snapshots__ListResponse piece = SNAPSHOTS__LIST_RESPONSE__INIT;
    struct info_message     info;
    Snapshots__Info        *at = &info.info;

    info_fill(s, &info);
    piece.info   = &at;
    piece.n_info = 1;
    grpc_reply_add(c->reply, &piece.base);
    info_free(&info);
    return true;
}

/* Filters are not looked at: containerd checks what it gets. */
static void list(struct call *c, const ProtobufCMessage *request)
{
    struct err err;

    (void) request;
    if (!snapshot_store_each(c->service->store, list_one, c, &err))
        fail(c, &err);
}

static FALLIBLE measure(const char *folder, Snapshots__UsageResponse *out, struct err *err)
{
    char *const paths[] = { (char *) (uintptr_t) folder, NULL }; /* fts only reads it */
    FTS        *walk    = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);

    if (!walk)
        return err_os(err, "%s", folder);
    for (FTSENT *entry; (entry = fts_read(walk));)
        if (entry->fts_info != FTS_DP && entry->fts_info != FTS_NS && entry->fts_info != FTS_ERR && entry->fts_info != FTS_DNR) {
            out->size += entry->fts_statp->st_blocks * 512;
            out->inodes++;
        }
    return fts_close(walk) == 0 || err_os(err, "%s", folder);
}

static void usage(struct call *c, const ProtobufCMessage *request)
{
    AUTO(snapshot) struct snapshot s      = { 0 };
    AUTO(buffer) struct buffer     folder = { 0 };
    Snapshots__UsageResponse       answer = SNAPSHOTS__USAGE_RESPONSE__INIT;
    struct err                     err;

    if (!find(c, request, &s))
        return;
    folder_of(c->service, &s, "/fs", &folder);
    if (!s.is_skipped && !measure(buffer_text(&folder), &answer, &err))
        fail(c, &err);
    else
        grpc_reply_add(c->reply, &answer.base);
}

static void cleanup(struct call *c, const ProtobufCMessage *request)
{
    struct err err;

    (void) request;
    if (snapshot_service_sweep(c->service, &err))
        answer_empty(c);
    else
        fail(c, &err);
}

static const struct method {
    const char                       *name;
    const ProtobufCMessageDescriptor *request;
    void (*run)(struct call *c, const ProtobufCMessage *request);
} methods[] = {
    { "Prepare", &snapshots__prepare_request__descriptor, prepare },
    { "View", &snapshots__prepare_request__descriptor, view },
    { "Mounts", &snapshots__key_request__descriptor, mounts },
    { "Commit", &snapshots__commit_request__descriptor, commit },
    { "Remove", &snapshots__key_request__descriptor, remove_snapshot },
    { "Stat", &snapshots__key_request__descriptor, stat_snapshot },
    { "Update", &snapshots__update_request__descriptor, update },
    { "List", &snapshots__list_request__descriptor, list },
    { "Usage", &snapshots__key_request__descriptor, usage },
    { "Cleanup", &snapshots__key_request__descriptor, cleanup },
};

void snapshot_service_call(void *owner, const char *path, struct bytes message, struct grpc_reply *reply)
{
    struct call          call    = { owner, reply };
    const struct method *method  = NULL;
    struct err           err;

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strncmp(path, SERVICE_PREFIX, sizeof SERVICE_PREFIX - 1) == 0 &&
            strcmp(path + sizeof SERVICE_PREFIX - 1, methods[i].name) == 0)
            method = &methods[i];
    if (!method) {
        refuse(&call, GRPC_UNIMPLEMENTED, "no such method: ", path);
        return;
    }
    AUTO(message) ProtobufCMessage *request = NULL;
    if (message_read(method->request, message, MESSAGE_LOOSE, &request, &err))
        method->run(&call, request);
    else
        fail(&call, &err);
}
