/* `cloister measure`: what the hardware will report, before it does. */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/measure_inputs.h"
#include "runtime/cli/verb.h"

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} platforms[] = {
    { "snp", "launch digest of an SEV-SNP guest, ID block, reference values", measure_snp },
    { "tdx", "MRTD and RTMR0 to RTMR2 of a TDX guest, reference values", measure_tdx },
    { "tpm", "PCRs of a guest beside a TPM, reference values", measure_tpm },
};

static void print_help(FILE *to)
{
    fprintf(to, "Usage: cloister measure PLATFORM [OPTION]...\n"
                "Prints what the hardware will report about a guest. Platforms:\n");
    for (size_t i = 0; i < sizeof platforms / sizeof platforms[0]; i++)
        fprintf(to, "  %-5s %s\n", platforms[i].name, platforms[i].about);
}

int cmd_measure(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < sizeof platforms / sizeof platforms[0]; i++)
        if (strcmp(argv[1], platforms[i].name) == 0)
            return platforms[i].run(argc - 1, argv + 1);
    return verb_refuse("measure", argc > 1 ? argv[1] : NULL, "snp, tdx or tpm; see cloister measure --help");
}
