#include "runtime/oci_runtime/commands.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/file.h"
#include "base/process.h"
#include "runtime/oci_runtime/control.h"
#include "runtime/oci_runtime/launch.h"
#include "runtime/oci_runtime/monitor.h"

enum { EVENT_INTERVAL_S = 5, LIST_COLUMN = 60 };

/* ---- what all share ---- */

static void write_log(const struct globals *g, const char *text)
{
    AUTO(stream) FILE *log  = g->log ? fopen(g->log, "ae") : NULL;
    time_t             now  = time(NULL);
    char               at[32] = "";
    struct tm          utc;

    if (!log)
        return;
    if (gmtime_r(&now, &utc))
        (void) strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &utc); /* fits */
    if (!g->log_format || strcmp(g->log_format, "json") != 0) {
        fprintf(log, "time=\"%s\" level=error msg=\"%s\"\n", at, text);
        return;
    }
    AUTO(json) struct json_object *entry = json_object_new_object();
    AUTO(buffer) struct buffer     line  = { 0 };
    json_add_text(entry, "level", "error");
    json_add_text(entry, "msg", text);
    json_add_text(entry, "time", at);
    json_write(entry, &line);
    fprintf(log, "%s\n", buffer_text(&line));
}

int command_fail(const struct globals *g, const struct err *err)
{
    write_log(g, err->text);
    fprintf(stderr, "cloister-runtime: %s\n", err->text);
    return 1;
}

static bool takes_value(const struct option_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_rows; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return table->rows[i].kind != OPTION_FLAG;
    return false;
}

/* runc's one-letter options, up to the first operand; they take a value where the long one does. */
static void lengthen(const struct option_table *table, int argc, char **argv)
{
    static struct { const char *brief; char full[12]; } rows[] = {
        { "-b", "--bundle" }, { "-d", "--detach" }, { "-t", "--tty" }, { "-f", "--force" }, { "-a", "--all" }, { "-p", "--process" },
        { "-q", "--quiet" },
        { "-u", "--user" }, { "-e", "--env" },
    };

    for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            if (strcmp(argv[i], rows[r].brief) == 0)
                argv[i] = rows[r].full;
        if (strncmp(argv[i], "--", 2) == 0 && takes_value(table, argv[i] + 2))
            i++;
    }
}

bool command_options(const struct globals *g, const struct option_table *table, int argc, char **argv, size_t n,
                     char ***operands, int *exit_code)
{
    enum options_outcome outcome;
    size_t               found;
    struct err           err;

    lengthen(table, argc, argv);
    if (!options_parse(table, argc, argv, &outcome, operands, &found, &err) ||
        (outcome == OPTIONS_RUN && found < n &&
         !fail_with(&err, ERR_CONFIG, "%zu operand%s wanted, %zu given; see %s --help", n, n == 1 ? " is" : "s are", found,
                    table->command))) {
        *exit_code = command_fail(g, &err);
        return false;
    }
    *exit_code = 0;
    if (outcome == OPTIONS_RUN)
        (*operands)[found] = NULL; /* argv has room for it: it ends so itself */
    return outcome == OPTIONS_RUN;
}

#define TABLE(name, synopsis, about, rows) \
    { "cloister-runtime " name, synopsis, about, rows, sizeof(rows) / sizeof *(rows), true, NULL }

/* Rows that may be any: commands without options of their own. */
static const struct option_row none[1] = { { .name = "\n" } };

static int simple(const struct globals *g, const char *name, int argc, char **argv, FALLIBLE (*act)(struct container_state *s, struct err *err))
{
    AUTO(container_state) struct container_state state = { 0 };
    AUTO(buffer) struct buffer                   command = { 0 };
    char                                       **operands;
    int                                          code;
    struct err                                   err;

    buffer_printf(&command, "cloister-runtime %s", name);
    const struct option_table table = { buffer_text(&command), "CONTAINER", "Acts on a container.", none, 0, true, NULL };
    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    if (container_state_load(g->root, operands[0], &state, &err) && act(&state, &err))
        return 0;
    return command_fail(g, &err);
}

static FALLIBLE ask(const struct container_state *s, const char *word, struct json_object **answer, struct err *err)
{
    AUTO(json) struct json_object *request = json_object_new_object();

    json_add_text(request, "do", word);
    if (!process_mark_lives(&s->monitor))
        return fail_with(err, ERR_CONFIG, "container %s is not running", s->id);
    return control_ask(s->folder, request, answer, err);
}

/* ---- create, start, run ---- */

struct create_options {
    struct launch_options launch;
    bool                  detach, no_pivot, no_keyring;
    uint64_t              preserve_fds;
};

#define CREATE_ROWS(o)                                                                                                     \
    { "bundle", OPTION_TEXT, &(o)->launch.bundle, "DIR", "the bundle (default: here)", 0, 0 },                             \
    { "pid-file", OPTION_TEXT, &(o)->launch.pid_file, "FILE", "gets the number of the process that stands for the container", 0, 0 }, \
    { "console-socket", OPTION_TEXT, &(o)->launch.console_socket, "PATH", "gets the terminal's master, where there is a terminal", 0, 0 }, \
    { "preserve-fds", OPTION_NUMBER, &(o)->preserve_fds, "N", "only 0: no descriptor reaches into a VM", 0, 0 },           \
    { "no-pivot", OPTION_FLAG, &(o)->no_pivot, NULL, "of no meaning here", 0, 0 },                                         \
    { "no-new-keyring", OPTION_FLAG, &(o)->no_keyring, NULL, "of no meaning here", 0, 0 }

static FALLIBLE check_fds(uint64_t n, struct err *err)
{
    return n == 0 || fail_with(err, ERR_UNSUPPORTED, "--preserve-fds: no descriptor reaches into a VM");
}

static FALLIBLE check_create(const struct create_options *o, struct err *err)
{
    return check_fds(o->preserve_fds, err);
}

int runtime_create(const struct globals *g, int argc, char **argv)
{
    struct create_options     o      = { .launch = { .bundle = ".", .settings = g->settings } };
    const struct option_row   rows[] = { CREATE_ROWS(&o) };
    const struct option_table table  = TABLE("create", "[OPTION]... CONTAINER", "Boots a VM for the container; start runs its process.", rows);
    char                    **operands;
    int                       code;
    pid_t                     monitor;
    struct err                err;

    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    return check_create(&o, &err) && launch_container(g->root, operands[0], &o.launch, &monitor, &err) ? 0 : command_fail(g, &err);
}

static FALLIBLE start(struct container_state *s, struct err *err)
{
    char status[16];

    if (strcmp(container_status(s, status), "created") != 0)
        return fail_with(err, ERR_CONFIG, "cannot start a container that is %s", status);
    return ask(s, "start", NULL, err);
}

int runtime_start(const struct globals *g, int argc, char **argv)
{
    return simple(g, "start", argc, argv, start);
}

static int wait_for(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return process_exit_code(status);
}

/* For people and tests; engines use create and start. */
int runtime_run(const struct globals *g, int argc, char **argv)
{
    struct create_options   o      = { .launch = { .bundle = ".", .settings = g->settings } };
    const struct option_row rows[] = { CREATE_ROWS(&o), { "detach", OPTION_FLAG, &o.detach, NULL, "do not wait for its end", 0, 0 } };
    const struct option_table table = TABLE("run", "[OPTION]... CONTAINER", "Creates a container and starts it.", rows);
    AUTO(container_state) struct container_state state = { 0 };
    char                                       **operands;
    int                                          code;
    pid_t                                        monitor;
    struct err                                   err, ignored;

    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    if (!check_create(&o, &err) || !launch_container(g->root, operands[0], &o.launch, &monitor, &err))
        return command_fail(g, &err);
    if (!container_state_load(g->root, operands[0], &state, &err) || !start(&state, &err)) {
        (void) kill(monitor, SIGKILL); /* a child of ours */
        (void) wait_for(monitor);
        if (!container_state_remove(&state, &ignored))
            fprintf(stderr, "cloister-runtime: %s\n", ignored.text);
        return command_fail(g, &err);
    }
    if (o.detach)
        return 0;
    code = wait_for(monitor);
    return container_state_remove(&state, &err) ? code : command_fail(g, &err);
}

/* ---- state, list, ps, events ---- */

static void print_json(struct json_object *document)
{
    puts(json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static FALLIBLE print_state(struct container_state *s, struct err *err)
{
    AUTO(json) struct json_object *document = container_state_json(s);

    (void) err;
    print_json(document);
    return true;
}

int runtime_state(const struct globals *g, int argc, char **argv)
{
    return simple(g, "state", argc, argv, print_state);
}

static FALLIBLE check_format(const char *format, struct err *err)
{
    return strcmp(format, "table") == 0 || strcmp(format, "json") == 0 ||
           fail_with(err, ERR_CONFIG, "--format %.40s: table or json is wanted", format);
}

static FALLIBLE print_process(struct container_state *s, struct err *err)
{
    (void) err;
    printf("PID\n%d\n", s->monitor.pid);
    return true;
}

int runtime_ps(const struct globals *g, int argc, char **argv)
{
    const char               *format = "table";
    const struct option_row   rows[] = { { "format", OPTION_TEXT, &format, "FORMAT", "table or json", 0, 0 } };
    const struct option_table table  = TABLE("ps", "[OPTION]... CONTAINER", "Prints the process on this host that stands for the container; what runs in the VM is not this host's to see.", rows);
    AUTO(container_state) struct container_state state = { 0 };
    char                                       **operands;
    int                                          code;
    struct err                                   err;

    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    if (!check_format(format, &err) || !container_state_load(g->root, operands[0], &state, &err))
        return command_fail(g, &err);
    if (strcmp(format, "json") != 0)
        return print_process(&state, &err) ? 0 : 1;
    printf("[%d]\n", state.monitor.pid);
    return 0;
}

static void print_row(const struct container_state *s)
{
    char status[16];

    (void) container_status(s, status); /* it yields its argument */
    printf("%-*s %-8d %-8s %s %s\n", LIST_COLUMN, s->id, strcmp(status, "stopped") == 0 ? 0 : s->monitor.pid, status, s->created, s->bundle);
}

int runtime_list(const struct globals *g, int argc, char **argv)
{
    const char               *format = "table";
    bool                      quiet  = false;
    const struct option_row   rows[] = { { "format", OPTION_TEXT, &format, "FORMAT", "table or json", 0, 0 },
                                         { "quiet", OPTION_FLAG, &quiet, NULL, "ids only", 0, 0 } };
    const struct option_table table  = TABLE("list", "[OPTION]...", "Prints all containers.", rows);
    AUTO(json) struct json_object *all = json_object_new_array();
    AUTO(dir) DIR                 *root = opendir(g->root);
    char                         **operands;
    int                            code;
    struct err                     err;

    if (!command_options(g, &table, argc, argv, 0, &operands, &code))
        return code;
    if (!check_format(format, &err))
        return command_fail(g, &err);
    bool is_json = strcmp(format, "json") == 0;
    if (!quiet && !is_json)
        printf("%-*s %-8s %-8s %-20s %s\n", LIST_COLUMN, "ID", "PID", "STATUS", "CREATED", "BUNDLE");
    for (struct dirent *entry; root && (entry = readdir(root));) {
        AUTO(container_state) struct container_state s = { 0 };

        if (entry->d_name[0] == '.' || !container_state_load(g->root, entry->d_name, &s, &err))
            continue; /* one that is being made or removed */
        if (quiet)
            puts(s.id);
        else if (is_json && json_object_array_add(all, container_state_json(&s)) != 0)
            abort();
        else if (!is_json)
            print_row(&s);
    }
    if (is_json)
        print_json(all);
    return 0;
}

static FALLIBLE print_event(const struct container_state *s, struct err *err)
{
    AUTO(json) struct json_object *answer = NULL, *event = json_object_new_object();
    struct json_object            *stats  = NULL;

    if (!ask(s, "stats", &answer, err) || !json_get(answer, "stats", json_type_object, &stats, err))
        return false;
    json_add_text(event, "type", "stats");
    json_add_text(event, "id", s->id);
    json_add(event, "data", json_object_get(stats));
    puts(json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return fflush(stdout) == 0 || err_os(err, "standard output");
}

int runtime_events(const struct globals *g, int argc, char **argv)
{
    uint64_t                  interval = EVENT_INTERVAL_S;
    bool                      once     = false;
    const struct option_row   rows[]   = { { "stats", OPTION_FLAG, &once, NULL, "print once and end", 0, 0 },
                                           { "interval", OPTION_NUMBER, &interval, "S", "seconds from one to the next (default 5)", 1, 3600 } };
    const struct option_table table    = TABLE("events", "[OPTION]... CONTAINER", "Prints what the container uses, as the guest says.", rows);
    AUTO(container_state) struct container_state state = { 0 };
    char                                       **operands;
    int                                          code;
    struct err                                   err;

    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    if (!container_state_load(g->root, operands[0], &state, &err) || !print_event(&state, &err))
        return command_fail(g, &err);
    while (!once && poll(NULL, 0, (int) interval * 1000) == 0)
        if (!print_event(&state, &err))
            return 0; /* it has ended */
    return 0;
}

/* ---- kill, delete, pause, resume ---- */

int runtime_kill(const struct globals *g, int argc, char **argv)
{
    bool                      all    = false;
    const struct option_row   rows[] = { { "all", OPTION_FLAG, &all, NULL, "of no meaning here: the VM is the container's", 0, 0 } };
    const struct option_table table  = TABLE("kill", "[OPTION]... CONTAINER [SIGNAL]", "Sends a signal (default TERM), by name or number.", rows);
    AUTO(container_state) struct container_state state = { 0 };
    AUTO(json) struct json_object               *request = json_object_new_object();
    enum options_outcome                         outcome;
    char                                       **operands;
    size_t                                       n;
    struct err                                   err;

    lengthen(&table, argc, argv);
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return command_fail(g, &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    const char *wanted = n > 1 ? operands[1] : "TERM";
    int         number = signal_number(wanted);
    if (n == 0 && !fail_with(&err, ERR_CONFIG, "a container is wanted; see cloister-runtime kill --help"))
        return command_fail(g, &err);
    if (number == 0 && !fail_with(&err, ERR_CONFIG, "%.40s is no signal; wanted: a name as TERM or SIGTERM, or a number from 1 to 64", wanted))
        return command_fail(g, &err);
    if (!container_state_load(g->root, operands[0], &state, &err))
        return command_fail(g, &err);
    json_add_text(request, "do", "kill");
    json_add(request, "signal", json_object_new_int(number));
    if (!process_mark_lives(&state.monitor) && !fail_with(&err, ERR_CONFIG, "container %s is not running", state.id))
        return command_fail(g, &err);
    return control_ask(state.folder, request, NULL, &err) ? 0 : command_fail(g, &err);
}

int runtime_delete(const struct globals *g, int argc, char **argv)
{
    bool                      force  = false;
    const struct option_row   rows[] = { { "force", OPTION_FLAG, &force, NULL, "end it first; one that is not there is fine", 0, 0 } };
    const struct option_table table  = TABLE("delete", "[OPTION]... CONTAINER", "Removes a container that has ended.", rows);
    AUTO(container_state) struct container_state state = { 0 };
    char                                       **operands, status[16];
    int                                          code;
    struct err                                   err;

    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    if (!container_state_load(g->root, operands[0], &state, &err))
        return force && err.kind == ERR_NOT_FOUND ? 0 : command_fail(g, &err);
    (void) container_status(&state, status); /* it yields its argument */
    if (!force && strcmp(status, "stopped") != 0 && strcmp(status, "created") != 0 &&
        !fail_with(&err, ERR_CONFIG, "container %s is %s; stop it first, or --force", state.id, status))
        return command_fail(g, &err);
    process_mark_kill(&state.monitor);
    return container_state_remove(&state, &err) ? 0 : command_fail(g, &err);
}

static FALLIBLE pause_container(struct container_state *s, struct err *err)
{
    return ask(s, "pause", NULL, err);
}

static FALLIBLE resume_container(struct container_state *s, struct err *err)
{
    return ask(s, "resume", NULL, err);
}

int runtime_pause(const struct globals *g, int argc, char **argv)
{
    return simple(g, "pause", argc, argv, pause_container);
}

int runtime_resume(const struct globals *g, int argc, char **argv)
{
    return simple(g, "resume", argc, argv, resume_container);
}

/* ---- exec ---- */

static FALLIBLE check_exec(const struct launch_exec_options *o, struct err *err)
{
    if (!o->process_file)
        return *o->args || fail_with(err, ERR_CONFIG, "exec: a command or --process FILE is wanted");
    return (!*o->args && !o->user && !o->cwd && o->env->n == 0) ||
           fail_with(err, ERR_CONFIG, "exec: --process FILE holds the command, user, directory and environment: give them there");
}

int runtime_exec(const struct globals *g, int argc, char **argv)
{
    struct option_list         env    = { .n = 0 };
    struct launch_exec_options o      = { .env = &env };
    bool                       detach = false;
    uint64_t                   fds    = 0;
    const struct option_row    rows[] = {
        { "process", OPTION_TEXT, &o.process_file, "FILE", "the process, as in config.json", 0, 0 },
        { "pid-file", OPTION_TEXT, &o.pid_file, "FILE", "gets the number of the process that stands for it", 0, 0 },
        { "console-socket", OPTION_TEXT, &o.console_socket, "PATH", "gets the terminal's master", 0, 0 },
        { "user", OPTION_TEXT, &o.user, "UID[:GID]", "instead of the container's, where policy allows it; so the next two", 0, 0 },
        { "cwd", OPTION_TEXT, &o.cwd, "DIR", "working directory", 0, 0 },
        { "env", OPTION_LIST, &env, "K=V", "a variable, added to the container's", 0, 0 },
        { "tty", OPTION_FLAG, &o.terminal, NULL, "with a terminal", 0, 0 },
        { "detach", OPTION_FLAG, &detach, NULL, "do not wait for its end", 0, 0 },
        { "preserve-fds", OPTION_NUMBER, &fds, "N", "only 0: no descriptor reaches into a VM", 0, 0 },
    };
    const struct option_table table = TABLE("exec", "[OPTION]... CONTAINER [COMMAND [ARG]...]", "Runs another process in a running container.", rows);
    AUTO(container_state) struct container_state state = { 0 };
    char                                       **operands;
    int                                          code;
    pid_t                                        child;
    struct err                                   err;

    if (!command_options(g, &table, argc, argv, 1, &operands, &code))
        return code;
    o.args = operands + 1;
    if (!check_fds(fds, &err) || !check_exec(&o, &err))
        return command_fail(g, &err);
    if (!container_state_load(g->root, operands[0], &state, &err) || !launch_exec(&state, &o, &child, &err))
        return command_fail(g, &err);
    return detach ? 0 : wait_for(child);
}

/* ---- update, features, spec ---- */

int runtime_update(const struct globals *g, int argc, char **argv)
{
    struct err err;

    (void) argc;
    (void) argv;
    (void) fail_with(&err, ERR_UNSUPPORTED, "update: the size of a VM is part of what was measured; make another container"); /* told next */
    return command_fail(g, &err);
}

int runtime_checkpoint(const struct globals *g, int argc, char **argv)
{
    struct err err;

    (void) argc;
    (void) argv;
    (void) fail_with(&err, ERR_UNSUPPORTED, "checkpoint: it would hold the guest's memory in the clear"); /* told next */
    return command_fail(g, &err);
}

int runtime_features(const struct globals *g, int argc, char **argv)
{
    (void) g;
    (void) argc;
    (void) argv;
    puts("{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.2.1\",\"hooks\":[],\"mountOptions\":[],"
         "\"linux\":{\"namespaces\":[\"network\"],\"capabilities\":[],\"cgroup\":{\"v1\":false,\"v2\":false,\"systemd\":false},"
         "\"seccomp\":{\"enabled\":false},\"apparmor\":{\"enabled\":false},\"selinux\":{\"enabled\":false}},"
         "\"annotations\":{\"org.cloister.version\":\"" CLOISTER_VERSION "\"}}");
    return 0;
}

int runtime_spec(const struct globals *g, int argc, char **argv)
{
    static const char text[] =
        "{\n\t\"ociVersion\": \"1.0.2\",\n\t\"process\": {\n\t\t\"terminal\": false,\n\t\t\"user\": {\"uid\": 0, \"gid\": 0},\n"
        "\t\t\"args\": [\"sh\"],\n\t\t\"env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],\n\t\t\"cwd\": \"/\"\n\t},\n"
        "\t\"root\": {\"path\": \"rootfs\"},\n\t\"hostname\": \"cloister\",\n\t\"linux\": {}\n}\n";
    const char               *bundle = ".";
    const struct option_row   rows[] = { { "bundle", OPTION_TEXT, &bundle, "DIR", "where to (default: here)", 0, 0 } };
    const struct option_table table  = TABLE("spec", "[OPTION]...", "Writes a config.json to begin with.", rows);
    AUTO(buffer) struct buffer path = { 0 };
    char                     **operands;
    int                        code;
    struct err                 err;

    if (!command_options(g, &table, argc, argv, 0, &operands, &code))
        return code;
    buffer_printf(&path, "%s/config.json", bundle);
    if (access(buffer_text(&path), F_OK) == 0 && !fail_with(&err, ERR_CONFIG, "%.200s is there already", buffer_text(&path)))
        return command_fail(g, &err);
    return file_write(buffer_text(&path), bytes_of_text(text), 0644, &err) ? 0 : command_fail(g, &err);
}
