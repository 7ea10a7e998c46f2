/* cloister-runtime: the OCI command line, so that podman and other engines drive microVMs. */
#include <stdio.h>
#include <string.h>

#include "runtime/oci_runtime/commands.h"

static const struct command {
    const char *name, *about;
    int (*run)(const struct globals *g, int argc, char **argv);
} commands[] = {
#define COMMAND_ROW(name, about) { #name, about, runtime_##name },
    RUNTIME_COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

static void print_commands(FILE *to)
{
    fprintf(to, "\nCommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
}

int main(int argc, char **argv)
{
    struct globals          g       = { .root = "/run/cloister-runtime" };
    const char             *ignored = NULL;
    bool                    version = false;
    const struct option_row rows[]  = {
        { "root", OPTION_TEXT, &g.root, "DIR", "where the state of containers is kept (default /run/cloister-runtime)", 0, 0 },
        { "settings", OPTION_TEXT, &g.settings, "FILE", "TOML as of docs/kubernetes.md (default /etc/cloister/runtime.toml)", 0, 0 },
        { "log", OPTION_TEXT, &g.log, "FILE", "errors go there, too", 0, 0 },
        { "log-format", OPTION_TEXT, &g.log_format, "FORMAT", "text or json", 0, 0 },
        { "debug", OPTION_FLAG, &g.debug, NULL, "of no meaning here", 0, 0 },
        { "systemd-cgroup", OPTION_FLAG, &g.systemd_cgroup, NULL, "of no meaning here", 0, 0 },
        { "cgroup-manager", OPTION_TEXT, &ignored, "NAME", "of no meaning here", 0, 0 },
        { "rootless", OPTION_TEXT, &ignored, "WHETHER", "of no meaning here", 0, 0 },
        { "criu", OPTION_TEXT, &ignored, "PATH", "of no meaning here", 0, 0 },
        { "version", OPTION_FLAG, &version, NULL, "print the version", 0, 0 },
    };
    const struct option_table table = {
        "cloister-runtime", "[OPTION]... COMMAND [ARG]...",
        "An OCI runtime whose containers are microVMs. With the annotations io.cloister.image and io.cloister.initdata a\n"
        "container is confidential; an unpacked root file system is not, and that is said at each start.",
        rows, sizeof rows / sizeof *rows, true, NULL
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;

    if (argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0))
        version = true; /* as runc says it: engines read the second line */
    else if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return command_fail(&g, &err);
    else if (outcome == OPTIONS_HELP_WAS_PRINTED) {
        print_commands(stdout);
        return 0;
    }
    if (version) {
        puts("cloister-runtime version " CLOISTER_VERSION "\nspec: 1.0.2");
        return 0;
    }
    operands[n] = NULL; /* what stood behind them were options, or the end */
    for (size_t i = 0; n > 0 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, operands[0]) == 0)
            return commands[i].run(&g, (int) n, operands);
    if (n > 0)
        (void) fail_with(&err, ERR_CONFIG, "no command \"%.40s\"; see cloister-runtime --help", operands[0]); /* told next */
    else
        (void) fail_with(&err, ERR_CONFIG, "a command is wanted; see cloister-runtime --help"); /* as above */
    return command_fail(&g, &err);
}
