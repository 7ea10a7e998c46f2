#include <stdio.h>
#include <unistd.h>

#include "guest/agent/agent.h"

int main(void)
{
    if (getpid() != 1) {
        fprintf(stderr, "cloister-agent: this is PID 1 of a guest; it does nothing elsewhere\n");
        return 2;
    }
    agent_run();
}
