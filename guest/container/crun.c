#include "guest/container/crun.h"

#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

void container_path(const struct container *container, const char *name, char out[static CONTAINER_PATH_MAX])
{
    (void) snprintf(out, CONTAINER_PATH_MAX, "%s/%s/%s", containers_options(container->all)->directory, container->id,
                    name); /* cut, it is not found */
}

/* Of the form "TIME: what". */
bool crun_failed(const struct container *container, struct err *err)
{
    AUTO(buffer) struct buffer log = { 0 }, reason = { 0 };
    char                       path[CONTAINER_PATH_MAX];
    struct err                 ignored;

    container_path(container, "crun.log", path);
    if (!file_read(path, CRUN_LOG_MAX, &log, &ignored) || log.len == 0)
        return fail_with(err, ERR_OS, "no reason given");
    while (log.len > 0 && log.at[log.len - 1] == '\n')
        log.len--;
    const uint8_t *line  = log.len ? memrchr(log.at, '\n', log.len) : NULL;
    size_t         begin = line ? (size_t) (line - log.at) + 1 : 0;
    printable_append(&reason, (struct bytes){ log.at + begin, log.len - begin }, 160);
    return fail_with(err, ERR_OS, "%s", buffer_text(&reason));
}

FALLIBLE crun_run(struct container *container, const char *const *verb, const int fds[static 3],
                  reaper_ended_fn *ended, void *owner, struct err *err)
{
    const struct containers_options *all           = containers_options(container->all);
    static const char *const         environment[] = { "PATH=/bin", NULL };
    char                     log_option[CONTAINER_PATH_MAX + 16], log_path[CONTAINER_PATH_MAX];
    const char              *argv[16] = { all->crun, "--root", "/run/crun", "--cgroup-manager=cgroupfs", log_option };
    struct process_fd        places[] = { { fds[0], 0 }, { fds[1], 1 }, { fds[2], 2 } };
    struct process_options   options  = { .argv = argv, .environment = environment, .fds = places, .n_fds = 3,
                                          .directory = "/" };
    struct process           process  = NO_PROCESS;
    size_t                   n        = 5;

    container_path(container, "crun.log", log_path);
    (void) snprintf(log_option, sizeof log_option, "--log=file:%s", log_path); /* sized for it */
    while (*verb && n < sizeof argv / sizeof *argv - 2)
        argv[n++] = *verb++;
    argv[n++] = container->id;
    if (!process_start(&options, &process, err))
        return false;
    (void) close(process.pidfd); /* the reaper watches by number, which is ours until it is reaped */
    if (reaper_watch(all->reaper, process.pid, ended, owner, err))
        return true;
    (void) kill(process.pid, SIGKILL); /* not reaped yet: the number is still its own */
    return false;
}

FALLIBLE crun_read_pid(const struct container *container, const char *name, pid_t *out, struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    char                       path[CONTAINER_PATH_MAX];
    char                      *end = NULL;

    container_path(container, name, path);
    if (!file_read(path, 32, &text, err))
        return false;
    long pid = strtol(buffer_text(&text), &end, 10);
    if (pid <= 1 || pid > INT32_MAX || (*end && *end != '\n'))
        return fail_with(err, ERR_BUG, "crun wrote no process number");
    *out = (pid_t) pid;
    return true;
}
