#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/agent/agent.h"
#include "guest/init/pod_init.h"

int main(int argc, char **argv)
{
    if (getpid() == 1 && argc == 1 && strcmp(argv[0], POD_INIT_NAME) == 0)
        pod_init_run();
    if (getpid() != 1) {
        fprintf(stderr, "cloister-agent: this is PID 1 of a guest; it does nothing elsewhere\n");
        return 2;
    }
    agent_run(NULL);
}
