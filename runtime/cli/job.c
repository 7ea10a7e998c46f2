/* cloister job: batch jobs that leave a receipt, and receipts that are checked offline. */
#include "runtime/cli/job.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"

int cmd_job(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return job_run(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return job_verify(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("Usage: cloister job run [OPTION]... IMAGE [ARG...]\n"
               "       cloister job run -f JOB.yaml [OPTION]...\n"
               "       cloister job verify [OPTION]... RECEIPT\n"
               "Runs a batch job that leaves a receipt; checks a receipt offline. Each has its own --help.\n");
        return 0;
    }
    return verb_refuse("job", argc > 1 ? argv[1] : NULL, "run or verify; see cloister job --help");
}
