/* cloister doctor: what this host can run, what is missing, and how to mend it. */
#include <stdio.h>

#include "base/json.h"
#include "base/options.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/diagnosis.h"

enum { EXIT_MISSING = 1, EXIT_UNUSABLE = 2 };

static void print_text(const struct diagnosis *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct finding *f = &d->findings[i];

        printf("%-8s %-26s %s\n", finding_level_name(f->level), f->what, f->found);
        if (f->mend)
            printf("%-8s %-26s -> %s\n", "", "", f->mend);
    }
}

static void print_json(const struct diagnosis *d)
{
    AUTO(json) struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < d->n; i++) {
        struct json_object *row = json_object_new_object();

        json_add_text(row, "check", d->findings[i].what);
        json_add_text(row, "level", finding_level_name(d->findings[i].level));
        json_add_text(row, "found", d->findings[i].found);
        json_add(row, "mend", d->findings[i].mend ? json_object_new_string(d->findings[i].mend) : NULL);
        if (json_object_array_add(list, row) != 0)
            abort();
    }
    puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int cmd_doctor(int argc, char **argv)
{
    AUTO(diagnosis) struct diagnosis d       = { 0 };
    struct diagnosis_options         how     = { .root = "" };
    bool                             as_json = false;
    const struct option_row          rows[]  = {
        { "json", OPTION_FLAG, &as_json, NULL, "print a JSON array", 0, 0 },
        { "guest", OPTION_TEXT, &how.guest_directory, "DIR", "guest image to look at", 0, 0 },
        { "root", OPTION_TEXT, &how.root, "DIR", "judge a copy of another machine's /proc, /sys and /dev, and its dmesg", 0, 0 },
    };
    const struct option_table table = {
        "cloister doctor", "[OPTION]...",
        "Says what this host can run, what is missing, and how to mend it. Needs no privilege.",
        rows, sizeof rows / sizeof *rows, false,
        "Exit code: 0 when what --tee auto chooses can run; 1 when something for it is missing; 2 for unusable arguments."
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) ||
        (outcome == OPTIONS_RUN && n > 0 && !fail_with(&err, ERR_CONFIG, "no operands are wanted; see cloister doctor --help"))) {
        fprintf(stderr, "cloister: doctor: %s\n", err.text);
        return EXIT_UNUSABLE;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!diagnosis_make(&how, &d, &err)) {
        fprintf(stderr, "cloister: doctor: %s\n", err.text);
        return EXIT_UNUSABLE;
    }
    if (as_json)
        print_json(&d);
    else
        print_text(&d);
    return diagnosis_has_missing(&d) ? EXIT_MISSING : 0;
}
