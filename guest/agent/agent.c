#include "guest/agent/agent.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/file.h"
#include "guest/agent/boot.h"
#include "guest/agent/desk.h"
#include "guest/agent/keeper.h"
#include "guest/agent/layer_mounts.h"
#include "guest/agent/mounter.h"
#include "guest/agent/service.h"
#include "guest/agent/shared_images.h"
#include "guest/agent/tunnel.h"
#include "guest/init/clock.h"
#include "guest/init/heap.h"
#include "guest/init/lent_disk.h"
#include "guest/init/ports.h"
#include "guest/init/power.h"
#include "guest/init/rights.h"
#include "guest/registry/fetcher.h"
#include "guest/volume/opener.h"
#include "guest/volume/volume.h"
#include "guest/workload/caller.h"
#include "guest/workload/endpoints.h"

enum { LAST_WORDS_MS = 50 };

/* To write an image as it is: owners, modes, device nodes, file capabilities. Nothing that reaches the kernel. */
#define KEEPER_RIGHTS                                                                                           \
    (RIGHT(CAP_CHOWN) | RIGHT(CAP_DAC_OVERRIDE) | RIGHT(CAP_FOWNER) | RIGHT(CAP_FSETID) | RIGHT(CAP_MKNOD) |    \
     RIGHT(CAP_SETFCAP))

/* To mount and to make devices, and to read what workloads of any user wrote, for a receipt. */
#define OPENER_RIGHTS (RIGHT(CAP_SYS_ADMIN) | RIGHT(CAP_DAC_READ_SEARCH))

static const struct ttrpc_method prepare_method = { &keeper_service, "Prepare" };

struct agent {
    struct loop             *loop;
    struct reaper           *reaper;
    struct cmdline           cmdline;
    struct timeline          timeline;
    struct ttrpc_connection *keeper;
    struct layer_mounts      layer_mounts; /* for the keeper */
    struct ttrpc_connection *host; /* NULL until the guest has attested, as is */
    struct ttrpc_connection *endpoints;
    int                      endpoints_port; /* stays open here: if the server ends, no container takes its place */
    struct service           service;
};

static const struct agent_company *company; /* of PID 1's whole life */

static void __attribute__((noreturn)) give_up(const char *phase, const struct err *why)
{
    power_say(phase, why);
    if (company)
        company->failing();
    power_off();
}

static void on_child_ended(void *owner, pid_t pid, int status)
{
    struct err why;

    (void) pid;
    (void) fail_with(&why, ERR_BUG, "%s ended, status %#x", (const char *) owner,
                     (unsigned) status); /* false is what it returns */
    give_up("boot", &why);
}

/* Signals that the loop of PID 1 takes are blocked there; a child starts without that. */
static pid_t fork_clean(const char *name)
{
    pid_t    pid = fork();
    sigset_t none;

    if (pid == 0) {
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
        (void) prctl(PR_SET_NAME, name, 0, 0, 0);     /* likewise */
    }
    return pid;
}

/* Images that are pulled then fail, one by one; what runs goes on. */
static void on_fetcher_ended(void *owner, pid_t pid, int status)
{
    (void) owner;
    (void) pid;
    (void) status; /* there is nothing that another number would change */
    power_note("pull", "the fetcher ended: nothing can be pulled any more");
}

static FALLIBLE start_fetcher(struct agent *a, int *control, struct err *err)
{
    AUTO(fd) int ours = NO_FD, theirs = NO_FD;
    int          ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "fetcher");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork_clean("fetcher");
    if (pid < 0)
        return err_os(err, "fetcher");
    if (pid == 0) {
        rights_close_all_but(&theirs, 1);
        heap_keep_room();
        _exit(rights_become_nobody(err) ? fetcher_run(TAKE_FD(theirs)) : 1);
    }
    *control = TAKE_FD(ours);
    return reaper_watch(a->reaper, pid, on_fetcher_ended, NULL, err);
}

static FALLIBLE start_tunnel(struct agent *a, int *control, struct err *err)
{
    static char  name[] = "the tunnel";
    AUTO(fd) int ours = NO_FD, theirs = NO_FD, port = NO_FD;
    int          ends[2];

    if (!port_open(BROKER_PORT, &port, err))
        return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "tunnel");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork_clean("tunnel");
    if (pid < 0)
        return err_os(err, "tunnel");
    if (pid == 0) {
        rights_close_all_but((const int[]){ theirs, port }, 2);
        _exit(rights_become_nobody(err) ? tunnel_run(TAKE_FD(theirs), TAKE_FD(port)) : 1);
    }
    *control = TAKE_FD(ours);
    return reaper_watch(a->reaper, pid, on_child_ended, name, err);
}

/* Images on disks can then not be mounted any more, one by one; what runs goes on. */
static void on_mounter_ended(void *owner, pid_t pid, int status)
{
    (void) owner;
    (void) pid;
    (void) status; /* there is nothing that another number would change */
    power_note("unpack", "the mounter of image disks ended");
}

/* Only where the host lent such a disk: `control` is NO_FD otherwise. */
static FALLIBLE start_mounter(struct agent *a, int *control, struct err *err)
{
    AUTO(fd) int ours = NO_FD, theirs = NO_FD;
    int          ends[2];

    *control = NO_FD;
    if (!lent_disk_may_come(IMAGE_DISK_PREFIX))
        return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "mounter");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork_clean("mounter");
    if (pid < 0)
        return err_os(err, "mounter");
    if (pid == 0) {
        rights_close_all_but(&theirs, 1);
        _exit(rights_keep(RIGHT(CAP_SYS_ADMIN), err) ? mounter_run(TAKE_FD(theirs)) : 1);
    }
    *control = TAKE_FD(ours);
    return reaper_watch(a->reaper, pid, on_mounter_ended, NULL, err);
}

static void on_keeper_closed(void *owner, const struct err *why)
{
    struct err shown = *why;

    (void) owner;
    if (shown.kind == ERR_NONE)
        (void) fail_with(&shown, ERR_BUG, "it ended"); /* false is what it returns */
    (void) context(&shown, "the keeper of keys");      /* likewise */
    give_up("boot", &shown);
}

/* Only where the host gives disks for volumes. It knows no key when it starts, and is asked by the keeper alone. */
static FALLIBLE start_opener(struct agent *a, int *control, struct err *err)
{
    static char  name[] = "the opener of volumes";
    AUTO(fd) int ours = NO_FD, theirs = NO_FD;
    int          ends[2];

    *control = NO_FD;
    if (!lent_disk_may_come(VOLUME_SERIAL_PREFIX))
        return true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "opener");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork_clean("opener");
    if (pid < 0)
        return err_os(err, "opener");
    if (pid == 0) {
        rights_close_all_but(&theirs, 1);
        _exit(rights_keep(OPENER_RIGHTS, err) ? opener_run(TAKE_FD(theirs)) : 1);
    }
    *control = TAKE_FD(ours);
    return reaper_watch(a->reaper, pid, on_child_ended, name, err);
}

/* `theirs` is for the keeper. */
static FALLIBLE serve_layers(struct agent *a, int *theirs, struct err *err)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "keeper");
    *theirs = ends[1];
    return layer_mounts_serve(&a->layer_mounts, a->loop, SHARED_IMAGES_FOLDER, ends[0], err);
}

/* Ports that only the keeper uses: they are open before it is asked for anything, as it may rest between two questions. */
static FALLIBLE open_keeper_ports(const struct agent *a, int *blobs, int *report, struct err *err)
{
    return port_open(BLOBS_PORT, blobs, err) && (a->cmdline.tee != CMDLINE_TEE_SIM || port_open(REPORT_PORT, report, err));
}

static FALLIBLE start_keeper(struct agent *a, int tunnel_take, int fetcher_take, int mounter_take, int opener_take, struct err *err)
{
    struct ttrpc_connection_options options = { .loop = a->loop, .closed = on_keeper_closed, .owner = a };
    AUTO(fd) int                    tunnel  = tunnel_take, fetcher = fetcher_take, mounter = mounter_take, opener = opener_take, layers = NO_FD, blobs = NO_FD, report = NO_FD, ours = NO_FD, theirs = NO_FD;
    int                             ends[2];

    if (!open_keeper_ports(a, &blobs, &report, err) || !serve_layers(a, &layers, err))
        return false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "keeper");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork_clean("keeper");
    if (pid < 0)
        return err_os(err, "keeper");
    if (pid == 0) {
        int kept[8] = { theirs, tunnel, fetcher, layers, blobs }, may_be[] = { mounter, opener, report };
        size_t n = 5;

        for (size_t i = 0; i < sizeof may_be / sizeof *may_be; i++)
            if (may_be[i] >= 0)
                kept[n++] = may_be[i];
        rights_close_all_but(kept, n);
        struct keeper_options keeper = { a->cmdline.tee, TAKE_FD(theirs), TAKE_FD(tunnel), TAKE_FD(fetcher), TAKE_FD(mounter), TAKE_FD(layers), TAKE_FD(opener), TAKE_FD(blobs), TAKE_FD(report) };
        _exit(rights_keep(KEEPER_RIGHTS, err) ? keeper_run(&keeper) : 1);
    }
    return ttrpc_connection_new(&options, TAKE_FD(ours), &a->keeper, err);
}

/* The host broke the protocol: there is no one left who could ask for anything. */
static void on_host_closed(void *owner, const struct err *why)
{
    (void) owner;
    give_up("start", why);
}

/* The pod's HTTP server ended: workloads get no answer any more, and that is all. */
static void on_endpoints_closed(void *owner, const struct err *why)
{
    (void) owner;
    (void) why;
}

static void on_endpoints_ended(void *owner, pid_t pid, int status)
{
    (void) owner;
    (void) pid;
    (void) status; /* there is nothing that another number would change */
}

/* Started once the guest has attested; it inherits its two sockets and nothing else. */
static FALLIBLE start_endpoints(struct agent *a, struct err *err)
{
    struct ttrpc_connection_options options = { .loop = a->loop, .service = &workload_service, .rows = desk_rows,
                                                .n_rows = n_desk_rows, .closed = on_endpoints_closed, .owner = &a->service };
    AUTO(fd) int                    ours = NO_FD, theirs = NO_FD, listener = NO_FD;
    int                             ends[2];

    if (!endpoints_listen(WORKLOAD_PORT, &listener, err))
        return false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "workload services");
    ours      = ends[0];
    theirs    = ends[1];
    pid_t pid = fork_clean("endpoints");
    if (pid < 0)
        return err_os(err, "workload services");
    if (pid == 0) {
        rights_close_all_but((const int[]){ listener, theirs }, 2);
        _exit(rights_become_nobody(err) ? endpoints_run(TAKE_FD(listener), TAKE_FD(theirs), caller_cgroup) : 1);
    }
    a->endpoints_port = TAKE_FD(listener);
    return reaper_watch(a->reaper, pid, on_endpoints_ended, NULL, err) &&
           ttrpc_connection_new(&options, TAKE_FD(ours), &a->endpoints, err);
}

static FALLIBLE serve_host(struct agent *a, struct err *err)
{
    struct ttrpc_connection_options options = { .loop = a->loop, .service = &agent_service, .rows = service_rows,
                                                .n_rows = n_service_rows, .closed = on_host_closed,
                                                .owner = &a->service, .admit = service_admit };
    struct containers_options       all     = { .loop = a->loop, .reaper = a->reaper, .directory = "/run/containers",
                                                .crun = "/bin/crun", .more = service_more_output,
                                                .ended = service_container_ended, .owner = &a->service,
                                                .cgroups = "/sys/fs/cgroup/containers", .pod_init = "/init", .sysctls = "/proc/sys" };
    int                             port;

    a->service.loop     = a->loop;
    a->service.keeper   = a->keeper;
    a->service.timeline = &a->timeline;
    a->service.tee      = a->cmdline.tee;
    return containers_new(&all, &a->service.containers, err) && start_endpoints(a, err) && port_open(AGENT_PORT, &port, err) &&
           ttrpc_connection_new(&options, port, &a->host, err);
}

static const char *known_phase(const char *name)
{
    return strcmp(name, "attest") == 0 ? "attest" : "initdata";
}

static FALLIBLE read_policy(struct service *service, const Keeper__PrepareResponse *answer, struct err *err)
{
    struct bytes document = bytes_of_text(answer->policy), rules = bytes_of_text(answer->rules);

    service->policy.rules_decide = document.len == 0 && rules.len > 0;
    return (document.len == 0 || policy_read(document, &service->policy, err)) &&
           (rules.len == 0 || rules_read(rules, document, &service->rules, err));
}

/* From here on the host is heard: not before. */
static void on_prepared(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct agent                  *a      = owner;
    const Keeper__PrepareResponse *answer = (const Keeper__PrepareResponse *) response;
    struct err                     err;

    if (!answer)
        give_up(NULL, why); /* the keeper names the phase */
    for (size_t i = 0; i < answer->n_spans; i++)
        timeline_add(&a->timeline, known_phase(answer->spans[i]->phase), answer->spans[i]->begin_ms,
                     answer->spans[i]->end_ms, "");
    if (!clock_set(answer->time_s, answer->floor_s, &err))
        give_up("attest", &err);
    if (!read_policy(&a->service, answer, &err))
        give_up("initdata", &err);
    if (*answer->resolv_conf &&
        !file_write("/etc/resolv.conf", bytes_of_text(answer->resolv_conf), 0644, &err))
        give_up("initdata", &err);
    if (!serve_host(a, &err))
        give_up("boot", &err);
    heap_give_back();
}

static FALLIBLE begin(struct agent *a, struct err *err)
{
    Keeper__PrepareRequest request = KEEPER__PREPARE_REQUEST__INIT;
    int                    tunnel, fetcher, mounter, opener;

    return loop_new(&a->loop, err) && reaper_new(a->loop, &a->reaper, err) && start_fetcher(a, &fetcher, err) &&
           start_tunnel(a, &tunnel, err) && start_mounter(a, &mounter, err) && start_opener(a, &opener, err) &&
           start_keeper(a, tunnel, fetcher, mounter, opener, err) &&
           ttrpc_connection_call(a->keeper, &prepare_method, &request.base, on_prepared, a, err) &&
           loop_run(a->loop, err);
}

/* The answer to Shutdown is in the port's queue, but the hypervisor takes it when it is scheduled. */
static void let_it_leave(void)
{
    static const struct timespec pause = { .tv_nsec = LAST_WORDS_MS * 1000000L };

    (void) nanosleep(&pause, NULL); /* woken early is fine */
}

void agent_run(const struct agent_company *with)
{
    static struct agent agent; /* of the whole life of the machine */
    const char         *phase = "boot";
    struct err          err;

    (void) signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    company = with;
    heap_keep_little();
    if (!boot_run(&agent.timeline, &agent.cmdline, &phase, &err))
        give_up(phase, &err);
    if (company)
        company->booted();
    if (!begin(&agent, &err))
        give_up("boot", &err);
    let_it_leave();
    power_off();
}
