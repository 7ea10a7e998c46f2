/* The `cloister` command: finds the command's row and hands over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"

struct command {
    const char *name, *about;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND_ROW(name, about) { #name, about, cmd_##name },
    COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

static void print_help(FILE *to)
{
    fprintf(to, "Usage: cloister COMMAND [OPTION]... [ARG...]\n"
                "Runs encrypted container images in attested, memory-encrypted microVMs.\n\nCommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(to, "\n`cloister COMMAND --help` tells more; `cloister --version` prints the version.\n");
}

/* What was printed has arrived, or the command failed: a full disk must not look like a short answer. */
static int output_end(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "cloister: standard output: %s\n", strerror(errno));
    return code == 0 ? 1 : code;
}

/* `help COMMAND...` and `COMMAND help` are `COMMAND... --help`: no verb and no image is called help. */
static void help_words_read(int argc, char **argv)
{
    static char option[] = "--help";

    if (argc > 2 && strcmp(argv[1], "help") == 0) {
        memmove(argv + 1, argv + 2, (size_t) (argc - 2) * sizeof *argv);
        argv[argc - 1] = option;
    } else if (argc == 3 && strcmp(argv[2], "help") == 0) {
        argv[2] = option;
    }
}

static const char *command_meant(const char *word)
{
    const char *words[sizeof commands / sizeof *commands];

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        words[i] = commands[i].name;
    return word_meant(word, words, sizeof commands / sizeof *commands);
}

int main(int argc, char **argv)
{
    const char *meant;
    struct err  err;

    help_words_read(argc, argv);
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return output_end(0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("cloister " CLOISTER_VERSION);
        return output_end(0);
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (!secret_heap_open(&err)) {
            fprintf(stderr, "cloister: %s: %s\n", argv[1], err.text);
            return 2;
        }
        return output_end(commands[i].run(argc - 1, argv + 1));
    }
    meant = command_meant(argv[1]);
    fprintf(stderr, "cloister: no command \"%s\"%s%s%s see cloister --help\n", argv[1], meant ? ": did you mean " : "", meant ? meant : "",
            meant ? "?" : ";");
    return 2;
}
