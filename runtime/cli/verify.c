/* `cloister verify`: one subcommand per TEE. */
#include "runtime/cli/verify.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"

int cmd_verify(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(int argc, char **argv); } tees[] = {
        { "snp", verify_snp }, { "tdx", verify_tdx }, { "tpm", verify_tpm },
    };

    for (size_t i = 0; argc > 1 && i < sizeof tees / sizeof tees[0]; i++)
        if (strcmp(argv[1], tees[i].name) == 0)
            return tees[i].run(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("Usage: cloister verify snp|tdx|tpm [OPTION]...\n"
               "Verifies evidence and prints a verdict as JSON. `cloister verify snp --help` lists the options of one kind.\n"
               "Exit code: 0 for accepted, 1 for rejected, 2 for unusable arguments.\n");
        return 0;
    }
    return verb_refuse("verify", argc > 1 ? argv[1] : NULL, "snp, tdx or tpm; see cloister verify --help");
}
