#include "runtime/shim/record.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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

FALLIBLE record_read(struct bytes text, struct record *out, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    struct record                  found    = { 0 };
    const char                    *network;

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
    if (!json_get_text(document, "network", &network, err))
        return context(err, "state");
    if ((size_t) snprintf(found.network, sizeof found.network, "%s", network) >= sizeof found.network)
        return fail_with(err, ERR_LIMIT, "state: network: over %zu bytes", sizeof found.network - 1);
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
