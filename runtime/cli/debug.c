#include "runtime/cli/debug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "runtime/sandbox/sandbox.h"

/* As guest/debug/shell.h has it, which is the guest's own. */
#define GREETING "cloister-agent debug: "

enum { END_OF_INPUT = 4, LEAVE = 0x1d }; /* Ctrl-D, Ctrl-] */

static void send(struct debug_session *s, struct bytes typed)
{
    struct err err;

    if (!sandbox_console_write(s->sandbox, typed, &err))
        fprintf(stderr, "cloister: %s\n", err.text);
}

static void input_came(struct loop_source *source, uint32_t events)
{
    static const uint8_t  end[] = { END_OF_INPUT };
    struct debug_session *s     = source->owner;
    uint8_t               typed[1024];
    ssize_t               n = read(source->fd, typed, sizeof typed);

    (void) events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        loop_remove(source);
        send(s, BYTES_OF(end));
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

void debug_console_said(void *owner, const char *line)
{
    struct debug_session *s = owner;
    struct err            err;

    if (!s->has_shell)
        fprintf(stderr, "%s\n", line);
    if (s->has_shell || strncmp(line, GREETING, sizeof GREETING - 1) != 0)
        return;
    s->has_shell = true;
    s->input     = (struct loop_source){ .fd = STDIN_FILENO, .ready = input_came, .owner = s };
    sandbox_console_copy(s->sandbox, STDOUT_FILENO);
    make_raw(s);
    if (s->is_raw)
        fprintf(stderr, "cloister: Ctrl-] ends the guest\r\n");
    if (!loop_add(s->loop, &s->input, EPOLLIN, &err))
        fprintf(stderr, "cloister: config: standard input: a terminal or a pipe is wanted: %s\r\n", err.text);
}

void debug_session_end(struct debug_session *session)
{
    loop_remove(&session->input);
    if (session->is_raw)
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &session->before); /* the terminal may be gone */
    session->is_raw = false;
}
