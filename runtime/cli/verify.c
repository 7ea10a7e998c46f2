/* `cloister verify`: one subcommand per TEE. */
#include "runtime/cli/verify.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/commands.h"

int cmd_verify(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(int argc, char **argv); } tees[] = {
        { "snp", verify_snp }, { "tdx", verify_tdx }, { "tpm", verify_tpm },
    };

    for (size_t i = 0; argc > 1 && i < sizeof tees / sizeof tees[0]; i++)
        if (strcmp(argv[1], tees[i].name) == 0)
            return tees[i].run(argc - 1, argv + 1);
    fprintf(stderr, "cloister: verify: say which evidence: cloister verify snp --help\n");
    return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : VERIFY_UNUSABLE;
}
