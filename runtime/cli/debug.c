#include "runtime/cli/debug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "runtime/sandbox/sandbox.h"

/* As guest/debug/shell.h has it, which is the guest's own. */
#define GREETING "cloister-agent debug: "

enum { END_OF_INPUT = 4, LEAVE = 0x1d /* Ctrl-D, Ctrl-] */, END_EVERY_MS = 1000, PIECE_EVERY_MS = 20 };

static void send(struct debug_session *s, struct bytes typed)
{
    struct err err;

    if (!sandbox_console_write(s->sandbox, typed, &err))
        fprintf(stderr, "cloister: %s\n", err.text);
}

/* Ctrl-D is an end for what reads just then; between two programs it is lost. So it is said until the shell has heard it. */
static void say_the_end(struct loop_source *source, uint32_t events)
{
    static const uint8_t  end[] = { END_OF_INPUT };
    struct debug_session *s     = source->owner;
    uint64_t              n;

    (void) events;
    if (read(source->fd, &n, sizeof n) > 0)
        send(s, BYTES_OF(end));
}

static void stop_reading(struct debug_session *s)
{
    loop_remove(&s->input);
    if (s->is_file)
        auto_fd(&s->input.fd);
    s->input.fd = NO_FD;
    s->is_file  = false;
}

static void input_ended(struct debug_session *s)
{
    struct err err;

    stop_reading(s);
    s->ended = (struct loop_source){ .fd = NO_FD, .ready = say_the_end, .owner = s };
    if (!loop_timer_fd(1, END_EVERY_MS, &s->ended.fd, &err) || !loop_add(s->loop, &s->ended, EPOLLIN, &err))
        fprintf(stderr, "cloister: the end of standard input: %s\n", err.text);
}

static void input_came(struct loop_source *source, uint32_t events)
{
    struct debug_session *s = source->owner;
    uint8_t               typed[1024];
    uint64_t              ticks;
    ssize_t               n;

    (void) events;
    if (s->is_file && read(source->fd, &ticks, sizeof ticks) != sizeof ticks)
        return;
    n = read(STDIN_FILENO, typed, sizeof typed);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        input_ended(s);
        return;
    }
    const uint8_t *leave = s->is_raw ? memchr(typed, LEAVE, (size_t) n) : NULL;
    if (leave)
        s->left(s->owner);
    else
        send(s, (struct bytes){ typed, (size_t) n });
}

/* Keys go to the guest as they are typed; it answers with what is to be seen. */
static void make_raw(struct debug_session *s)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &s->before) < 0)
        return; /* no terminal: a script */
    raw = s->before;
    cfmakeraw(&raw);
    s->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static FALLIBLE start_reading(struct debug_session *s, struct err *err)
{
    s->input = (struct loop_source){ .fd = STDIN_FILENO, .ready = input_came, .owner = s };
    if (loop_add(s->loop, &s->input, EPOLLIN, err))
        return true;
    s->is_file  = err->os_errno == EPERM; /* a script in a file, or /dev/null */
    s->input.fd = NO_FD;
    return s->is_file && loop_timer_fd(PIECE_EVERY_MS, PIECE_EVERY_MS, &s->input.fd, err) && loop_add(s->loop, &s->input, EPOLLIN, err);
}

void debug_console_said(void *owner, const char *line)
{
    struct debug_session *s = owner;
    struct err            err;

    if (!s->has_shell)
        fprintf(stderr, "%s\n", line);
    if (s->has_shell || strncmp(line, GREETING, sizeof GREETING - 1) != 0)
        return;
    s->has_shell = true;
    sandbox_console_copy(s->sandbox, STDOUT_FILENO);
    make_raw(s);
    if (s->is_raw)
        fprintf(stderr, "cloister: Ctrl-] ends the guest\r\n");
    if (!start_reading(s, &err)) {
        fprintf(stderr, "cloister: config: standard input: %s\r\n", err.text);
        input_ended(s);
    }
}

void debug_session_end(struct debug_session *session)
{
    stop_reading(session);
    loop_remove(&session->ended);
    if (session->ended.owner)
        auto_fd(&session->ended.fd);
    if (session->is_raw)
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &session->before); /* the terminal may be gone */
    session->is_raw = false;
}
