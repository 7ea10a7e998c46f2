#include "runtime/shim/record.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"
#include "runtime/shim/limits.h"

enum { STAT_MAX = 4096, KILL_WAIT_MS = 1000, KEY_LEN = 20 };

FALLIBLE process_stat_read(struct bytes text, uint64_t *start, struct err *err)
{
    AUTO(buffer) struct buffer copy = { 0 };
    unsigned long long         found;
    char                       state;

    buffer_append(&copy, text);
    const char *end = strrchr(buffer_text(&copy), ')');
    if (strlen(buffer_text(&copy)) != text.len || !end ||
        sscanf(end, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state, &found) != 2)
        return fail_with(err, ERR_MALFORMED, "process state");
    if (state == 'Z' || state == 'X')
        return fail_with(err, ERR_NOT_FOUND, "the process has ended");
    *start = found;
    return true;
}

FALLIBLE process_mark_of(pid_t pid, struct process_mark *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct process_mark        mark = { .pid = pid };
    char                       path[64];

    (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) pid); /* fits */
    if (pid <= 0 || !file_read(path, STAT_MAX, &text, err))
        return fail_with(err, ERR_NOT_FOUND, "no process %d", (int) pid);
    if (!process_stat_read(buffer_bytes(&text), &mark.start, err))
        return false;
    *out = mark;
    return true;
}

bool process_mark_lives(const struct process_mark *mark)
{
    struct process_mark now;
    struct err          ignored; /* gone is gone */

    return mark->pid > 1 && process_mark_of(mark->pid, &now, &ignored) && now.start == mark->start;
}

bool process_mark_await(const struct process_mark *mark, int timeout_ms)
{
    AUTO(fd) int  fd  = mark->pid > 1 ? (int) syscall(SYS_pidfd_open, mark->pid, 0) : NO_FD;
    struct pollfd end = { .fd = fd, .events = POLLIN };
    int           n;

    if (fd < 0 || !process_mark_lives(mark))
        return true;
    do
        n = poll(&end, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* The pidfd is taken first and the start time compared then: from there on the number cannot change hands unseen. */
void process_mark_kill(const struct process_mark *mark)
{
    AUTO(fd) int  fd  = mark->pid > 1 ? (int) syscall(SYS_pidfd_open, mark->pid, 0) : NO_FD;
    struct pollfd end = { .fd = fd, .events = POLLIN };

    if (fd < 0 || !process_mark_lives(mark) || syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
        return;
    while (poll(&end, 1, KILL_WAIT_MS) < 0 && errno == EINTR)
        ;
}

static const struct record_row { const char *name; size_t at; } rows[] = {
    { "shim", offsetof(struct record, shim) },
    { "vmm", offsetof(struct record, vmm) },
    { "platform", offsetof(struct record, platform) },
};

static FALLIBLE read_short(struct json_object *from, const char *name, char *out, size_t room, struct err *err)
{
    const char *text;

    if (!json_get_text(from, name, &text, err))
        return false;
    return (size_t) snprintf(out, room, "%s", text) < room || fail_with(err, ERR_LIMIT, "%s: over %zu bytes", name, room - 1);
}

/* One of an older shim says nothing of it. */
static FALLIBLE read_cgroup(struct json_object *document, struct pod_cgroup *out, struct err *err)
{
    struct json_object *cgroup, *list;
    const char         *path;

    if (!json_has(document, "cgroup"))
        return true;
    if (!json_get(document, "cgroup", json_type_object, &cgroup, err) || !json_get_text(cgroup, "path", &path, err) ||
        !pod_cgroup_path(path, out->path, err) || !json_get(cgroup, "hierarchies", json_type_array, &list, err))
        return context(err, "cgroup");
    out->n = json_object_array_length(list);
    if (out->n > POD_CGROUP_HIERARCHIES_MAX)
        return fail_with(err, ERR_LIMIT, "cgroup: over %d hierarchies", POD_CGROUP_HIERARCHIES_MAX);
    for (size_t i = 0; i < out->n; i++) {
        struct json_object *row = json_object_array_get_idx(list, i);
        uint64_t            made;

        if (!json_object_is_type(row, json_type_object))
            return fail_with(err, ERR_MALFORMED, "cgroup: hierarchy %zu", i);
        if (!read_short(row, "mount", out->at[i].mount, sizeof out->at[i].mount, err) || !json_get_u64(row, "made", POD_CGROUP_PATH_MAX, &made, err))
            return context(err, "cgroup");
        out->at[i].made = (unsigned) made;
    }
    return true;
}

static void write_cgroup(const struct pod_cgroup *cgroup, struct json_object *document)
{
    struct json_object *out = json_object_new_object(), *list = json_object_new_array();

    json_add(document, "cgroup", out);
    json_add_text(out, "path", cgroup->path);
    json_add(out, "hierarchies", list);
    for (size_t i = 0; i < cgroup->n; i++) {
        struct json_object *row = json_object_new_object();

        json_add_text(row, "mount", cgroup->at[i].mount);
        json_add(row, "made", json_object_new_int64(cgroup->at[i].made));
        if (json_object_array_add(list, row) != 0)
            abort();
    }
}

FALLIBLE record_read(struct bytes text, struct record *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct record                  found    = { 0 };

    if (!json_read(text, SHIM_RECORD_MAX, &document, err))
        return context(err, "state");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct process_mark *mark = (struct process_mark *) (void *) ((char *) &found + rows[i].at);
        struct json_object  *row;
        uint64_t             pid;

        if (!json_get(document, rows[i].name, json_type_object, &row, err) ||
            !json_get_u64(row, "pid", INT32_MAX, &pid, err) || !json_get_u64(row, "start", INT64_MAX, &mark->start, err))
            return context(err, "state");
        mark->pid = (pid_t) pid;
    }
    if (!read_short(document, "network", found.network, sizeof found.network, err) || !read_cgroup(document, &found.cgroup, err))
        return context(err, "state");
    *out = found;
    return true;
}

void record_write(const struct record *record, struct buffer *out)
{
    AUTO(json) struct json_object *document = json_object_new_object();

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct process_mark *mark = (const struct process_mark *) (const void *) ((const char *) record + rows[i].at);
        struct json_object        *row  = json_object_new_object();

        json_add(row, "pid", json_object_new_int64(mark->pid));
        json_add(row, "start", json_object_new_int64((int64_t) mark->start));
        json_add(document, rows[i].name, row);
    }
    json_add_text(document, "network", record->network);
    if (record->cgroup.n > 0)
        write_cgroup(&record->cgroup, document);
    json_write(document, out);
}

FALLIBLE record_directory(const char *root, const char *address, const char *namespace, const char *sandbox,
                          char out[static RECORD_PATH_MAX], struct err *err)
{
    AUTO(buffer) struct buffer all = { 0 }, hex = { 0 };
    uint8_t                    digest[SHA256_LEN];

    buffer_printf(&all, "%s|%s|%s", address, namespace, sandbox); /* none of them can hold the bar */
    sha256_of(buffer_bytes(&all), digest);
    hex_append(&hex, (struct bytes){ digest, KEY_LEN });
    int n = snprintf(out, RECORD_PATH_MAX, "%s/%s", root, buffer_text(&hex));
    return (n > 0 && n < RECORD_PATH_MAX - 8) || fail_with(err, ERR_LIMIT, "the path of run directory %.60s is too long", root);
}
