/* A person and the shell of a debug image: this process's standard input and output, and the guest's console. */
#pragma once

#include <termios.h>

#include "base/loop.h"

struct sandbox;

struct debug_session {
    struct sandbox    *sandbox;   /* to be set before the guest can say anything */
    struct loop       *loop;
    struct loop_source input;     /* standard input, or the timer by which a file is read */
    bool               is_file;   /* it is always ready, and so cannot be waited for */
    struct loop_source ended;     /* a timer, since the input has come to its end */
    bool               has_shell; /* the guest said that there is one: it is a debug image */
    bool               is_raw;    /* the terminal, which was as in */
    struct termios     before;
    void             (*left)(void *owner); /* the person asked for the end: Ctrl-] */
    void              *owner;
};

/* For sandbox_options.console_said: `owner` is the session. From the greeting on the two are joined. */
void debug_console_said(void *owner, const char *line);

void debug_session_end(struct debug_session *session); /* the terminal is as it was */
