#include "runtime/sandbox/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/file.h"

static void note_cause(struct console *c)
{
    static const struct { const char *says, *becomes; } causes[] = {
        { "cloister-agent: ", "" },
        { "stage0: ", "boot: stage0: " },
        { "Kernel panic - ", "boot: guest kernel panic: " },
        { "KVM internal error. ", "boot: KVM gave the guest up (where the CPU offers neither svm nor vmx, use --accel tcg): " }, /* QEMU's word */
    };

    for (size_t i = 0; c->cause[0] == 0 && i < sizeof causes / sizeof *causes; i++) {
        const char *at = strstr(c->line, causes[i].says);

        if (at)
            (void) snprintf(c->cause, sizeof c->cause, "%s%.320s", causes[i].becomes,
                            at + strlen(causes[i].says)); /* cut by design */
    }
}

static void end_line(struct console *c)
{
    struct err err;

    if (c->line_len == 0)
        return;
    c->line[c->line_len] = 0;
    memcpy(c->last, c->line, sizeof c->last);
    note_cause(c);
    if (c->said)
        c->said(c->owner, c->line);
    if (c->copy_fd >= 0) {
        c->line[c->line_len] = '\n';
        if (!write_all(c->copy_fd, (struct bytes){ (const uint8_t *) c->line, c->line_len + 1 }, &err))
            c->copy_fd = NO_FD; /* nobody reads it any more */
    }
    c->line_len = 0;
}

static void copy_raw(struct console *c, struct bytes bytes)
{
    struct err err;

    if (bytes.len > 0 && !write_all(c->raw_fd, bytes, &err))
        c->raw_fd = NO_FD; /* nobody looks at it any more */
}

void console_drain(struct console *c)
{
    char    block[4096];
    ssize_t n = 0;

    while (c->source.fd >= 0 && (n = read(c->source.fd, block, sizeof block)) > 0) {
        ssize_t raw_from = c->raw_fd >= 0 ? 0 : n;

        for (ssize_t i = 0; i < n; i++) {
            if (block[i] == '\n')
                end_line(c);
            else if (block[i] >= 0x20 && block[i] < 0x7f && c->line_len < sizeof c->line - 1)
                c->line[c->line_len++] = block[i]; /* everything else is dropped: no escape reaches a terminal */
            if (raw_from == n && c->raw_fd >= 0)
                raw_from = i + 1; /* a line asked for it */
        }
        copy_raw(c, (struct bytes){ (const uint8_t *) block + raw_from, (size_t) (n - raw_from) });
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end_line(c);
        loop_remove(&c->source);
    }
}

static void console_ready(struct loop_source *source, uint32_t events)
{
    (void) events;
    console_drain(source->owner);
}

FALLIBLE console_open(struct console *console, struct loop *loop, int fd_take, int copy_fd, struct err *err)
{
    *console = (struct console){ .source = { .fd = fd_take, .ready = console_ready, .owner = console }, .copy_fd = copy_fd, .raw_fd = NO_FD };
    if (fcntl(fd_take, F_SETFL, O_NONBLOCK) < 0)
        return err_os(err, "console");
    return loop_add(loop, &console->source, EPOLLIN, err);
}

void console_close(struct console *console)
{
    loop_remove(&console->source);
    auto_fd(&console->source.fd);
    console->source.fd = NO_FD;
}

const char *console_cause(const struct console *console)
{
    return console->cause[0] ? console->cause : NULL;
}
