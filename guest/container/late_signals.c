#include "guest/container/late_signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/file.h"

enum { EVERY_MS = 50, STATUS_MAX = 16 << 10 };

static uint64_t now_ms(void)
{
    struct timespec at;

    (void) clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail */
    return (uint64_t) at.tv_sec * 1000 + (uint64_t) at.tv_nsec / 1000000;
}

static uint64_t bit(uint32_t signal_number)
{
    return 1ULL << (signal_number - 1);
}

/* What a process without a handler would survive anyway, and what none can handle. */
static uint64_t not_kept(void)
{
    static const int numbers[] = { SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH };
    uint64_t         all       = 0;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        all |= bit((uint32_t) numbers[i]);
    return all;
}

/* "\nSigCgt:\t" and 16 hex digits. The only text of the process's own in the file is its name, whose line feeds are escaped. */
static bool read_mask(struct bytes status, const char *name, uint64_t *out)
{
    size_t         len = strlen(name);
    const uint8_t *at  = status.len > 0 ? memmem(status.at, status.len, name, len) : NULL;
    uint64_t       mask = 0;

    if (!at || status.len - (size_t) (at - status.at) < len + 16)
        return false;
    for (size_t i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *digit = memchr(digits, at[len + i], 16);

        if (!digit)
            return false;
        mask = mask << 4 | (uint64_t) (digit - digits);
    }
    *out = mask;
    return true;
}

bool late_signals_read(struct bytes status, uint64_t *caught, uint64_t *ignored)
{
    return read_mask(status, "\nSigCgt:\t", caught) && read_mask(status, "\nSigIgn:\t", ignored);
}

static bool look(const struct late_signals *late, uint64_t *caught, uint64_t *ignored)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[32];
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/status", late->pid); /* fits any number */
    return file_read(path, STATUS_MAX, &text, &err) && late_signals_read(buffer_bytes(&text), caught, ignored);
}

static void stop(struct late_signals *late)
{
    loop_remove(&late->timer);
    auto_fd(&late->timer.fd);
    late->timer.fd = NO_FD;
    late->waiting  = 0;
}

static void on_tick(struct loop_source *source, uint32_t events)
{
    struct late_signals *late = source->owner;
    uint64_t             n, caught, ignored;

    (void) events;
    if (read(source->fd, &n, sizeof n) < 0)
        return;
    if (!look(late, &caught, &ignored) || now_ms() - late->started_ms > LATE_SIGNALS_MS) {
        stop(late);
        return;
    }
    for (uint32_t s = 1; s <= 64; s++)
        if (late->waiting & caught & bit(s))
            (void) kill(late->pid, (int) s); /* not reaped: the number is still its own */
    late->waiting &= ~(caught | ignored);
    if (late->waiting == 0)
        stop(late);
}

void late_signals_begin(struct late_signals *late, struct loop *loop, pid_t pid)
{
    *late = (struct late_signals){ .loop = loop, .timer = { .fd = NO_FD, .ready = on_tick, .owner = late }, .pid = pid, .started_ms = now_ms() };
}

void late_signals_keep(struct late_signals *late, uint32_t signal_number)
{
    uint64_t   caught, ignored;
    struct err err;

    if (late->started_ms == 0 || now_ms() - late->started_ms > LATE_SIGNALS_MS || signal_number < 1 || signal_number > 64 ||
        bit(signal_number) & not_kept() || !look(late, &caught, &ignored) || bit(signal_number) & (caught | ignored))
        return;
    late->waiting |= bit(signal_number);
    if (late->timer.fd < 0 && (!loop_timer_fd(EVERY_MS, EVERY_MS, &late->timer.fd, &err) || !loop_add(late->loop, &late->timer, EPOLLIN, &err)))
        stop(late); /* then it is dropped, as it would be elsewhere */
}

void late_signals_end(struct late_signals *late)
{
    stop(late);
    late->started_ms = 0;
}
