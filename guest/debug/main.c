/* PID 1 of the debug image: the agent, and a shell. */
#include <stdio.h>
#include <unistd.h>

#include "guest/agent/agent.h"
#include "guest/debug/shell.h"
#include "guest/init/power.h"

static bool has_shell;

static void booted(void)
{
    struct err err;

    has_shell = shell_start(&err);
    if (!has_shell)
        power_say("boot", &err);
}

/* The shell's end is the machine's: whoever looks into it decides when. */
static void failing(void)
{
    while (has_shell)
        (void) pause();
}

int main(void)
{
    if (getpid() != 1) {
        fprintf(stderr, "cloister-agent: this is PID 1 of a guest; it does nothing elsewhere\n");
        return 2;
    }
    agent_run(&(struct agent_company){ booted, failing });
}
