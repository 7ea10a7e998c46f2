#include "runtime/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/ossl.h"
#include "firmware/measure/kernel_hashes.h"
#include "guest/api/vsock.h"
#include "keys/api/initdata.h"
#include "runtime/sandbox/blob_service.h"
#include "runtime/sandbox/console.h"
#include "runtime/net/pod_link.h"
#include "runtime/sandbox/tunnel_service.h"
#include "runtime/vmm/qemu.h"
#include "runtime/vmm/shelf.h"
#include "runtime/vmm/simulated_platform.h"
#include "runtime/vmm/software_tpm.h"
#include "runtime/vmm/vhost_vsock.h"

enum {
    BOOT_FILE_MAX = 512 << 20, /* bytes of a firmware, kernel or initrd: ours are 64 KiB, 12 MiB and 24 MiB */
    LAST_WORDS_MS = 3000,      /* between the agent's end and the VM's, for the guest to say why */
};

enum port { PORT_AGENT, PORT_BLOBS, PORT_BROKER, PORT_REPORT, N_PORTS };
static const char *const port_names[N_PORTS] = { AGENT_PORT, BLOBS_PORT, BROKER_PORT, REPORT_PORT };

struct sandbox {
    struct sandbox_options   options; /* its pointers are not used after sandbox_start, but for the callbacks */
    enum sandbox_state       state;
    struct sandbox_times     times;
    struct process           vmm, platform;
    struct loop_source       vmm_exit, boot_timer;
    struct console           console; /* of the guest */
    struct console           words;   /* of the hypervisor */
    struct ttrpc_connection *agent;
    struct blob_service     *blobs;
    struct tunnel_service   *tunnel;
    struct network          *network; /* NULL: none, or told to the guest */
    struct err               agent_end; /* why its connection is over */
    struct shelf             shelf;
    size_t                   n_lent;    /* disks on it */
};

/* What start-up holds until QEMU and the platform have their copies. */
struct launch {
    struct buffer firmware, kernel, initrd, disk;
    int           firmware_fd, kernel_fd, initrd_fd, cmdline_fd, disk_fd, scratch_fd, shelf_fd;
    enum vm_loader loader;
    int           ours[N_PORTS], theirs[N_PORTS];
    int           console_ours, console_theirs, words_ours, words_theirs;
    int           tpm_of_qemu;
    int           vsock_fd;
    uint32_t      guest_cid; /* 0: the ports are virtio-serial's */
    struct vm_disk disks[VM_DISKS_MAX]; /* those of the options, which stay theirs, then the volumes */
    size_t        n_lent, n_disks;
};

static void auto_launch(struct launch *l)
{
    int *fds[] = { &l->firmware_fd, &l->kernel_fd, &l->initrd_fd, &l->cmdline_fd, &l->disk_fd, &l->console_ours, &l->console_theirs,
                   &l->words_ours, &l->words_theirs, &l->tpm_of_qemu, &l->scratch_fd, &l->shelf_fd, &l->vsock_fd };

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        auto_fd(fds[i]);
    for (size_t i = l->n_lent; i < l->n_disks; i++)
        auto_fd(&l->disks[i].fd);
    for (size_t i = 0; i < N_PORTS; i++) {
        auto_fd(&l->ours[i]);
        auto_fd(&l->theirs[i]);
    }
    buffer_free(&l->firmware);
    buffer_free(&l->kernel);
    buffer_free(&l->initrd);
    buffer_free(&l->disk);
}

uint64_t monotonic_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* ---- the end ---- */

static void close_services(struct sandbox *s)
{
    ttrpc_connection_free(TAKE(s->agent));
    blob_service_free(TAKE(s->blobs));
    tunnel_service_free(TAKE(s->tunnel));
    loop_remove(&s->boot_timer);
    auto_fd(&s->boot_timer.fd);
    s->boot_timer.fd = NO_FD;
}

static void end_processes(struct sandbox *s)
{
    loop_remove(&s->vmm_exit);
    process_kill(&s->vmm);
    process_kill(&s->platform);
    shelf_free(&s->shelf); /* after the VM, which would see its disk break */
}

static void end(struct sandbox *s, const struct err *why)
{
    struct err told = s->state == SANDBOX_STOPPING ? (struct err){ 0 } : *why;

    if (s->state == SANDBOX_ENDED)
        return;
    s->state = SANDBOX_ENDED;
    end_processes(s);
    console_drain(&s->console);
    s->options.ended(s->options.owner, &told);
}

/* The guest's own word for why it ended, when it left one. */
static void end_with_cause(struct sandbox *s, enum err_kind kind, const char *otherwise)
{
    const char *phase = s->state == SANDBOX_STARTING ? "boot" : "start";
    struct err  why;

    console_drain(&s->console);
    console_drain(&s->words);
    if (console_cause(&s->console))
        (void) fail_with(&why, kind, "%s", console_cause(&s->console)); /* only fills the record */
    else if (console_cause(&s->words))
        (void) fail_with(&why, kind, "%s", console_cause(&s->words)); /* as above */
    else if (s->words.last[0])
        (void) fail_with(&why, kind, "%s: %.180s", phase, s->words.last); /* as above */
    else
        (void) fail_with(&why, kind, "%s: %s%s%.120s", phase, otherwise,
                         s->console.last[0] ? "; its console ended with: " : "", s->console.last); /* as above */
    end(s, &why);
}

static void vmm_ended(struct loop_source *source, uint32_t events)
{
    (void) events;
    end_with_cause(source->owner, ERR_OS, "the VM ended");
}

static void boot_timed_out(struct loop_source *source, uint32_t events)
{
    struct sandbox *s = source->owner;
    char            what[80];

    (void) events;
    (void) snprintf(what, sizeof what, "no word from the agent within %u s",
                    s->options.boot_timeout_ms / 1000); /* fits */
    end_with_cause(s, ERR_TIMEOUT, what);
}

static void no_last_words(struct loop_source *source, uint32_t events)
{
    struct sandbox *s = source->owner;

    (void) events;
    end_with_cause(s, ERR_OS, s->agent_end.kind == ERR_NONE ? "the agent closed its connection" : s->agent_end.text);
}

/* The VM's end and the guest's last words say more than a closed connection: they get a moment to come. */
static void agent_closed(void *owner, const struct err *why)
{
    struct sandbox *s = owner;
    struct err      err;

    s->agent_end = *why;
    loop_remove(&s->boot_timer);
    auto_fd(&s->boot_timer.fd);
    s->boot_timer = (struct loop_source){ .fd = NO_FD, .ready = no_last_words, .owner = s };
    if (!loop_timer_fd(LAST_WORDS_MS, 0, &s->boot_timer.fd, &err) ||
        !loop_add(s->options.loop, &s->boot_timer, EPOLLIN, &err))
        end_with_cause(s, ERR_OS, "the agent closed its connection");
}

/* ---- the start ---- */

static void network_is_there(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct sandbox *s = owner;

    if (s->state != SANDBOX_STARTING || sandbox_lost_agent(s))
        return;
    if (!response) {
        end(s, why); /* the agent names the phase */
        return;
    }
    loop_remove(&s->boot_timer);
    s->state          = SANDBOX_READY;
    s->times.ready_ms = monotonic_ms();
    s->options.ready(s->options.owner);
}

static void tell_network(struct sandbox *s)
{
    struct network_message message;
    struct err             err;

    network_write(s->network, &message);
    if (!sandbox_call(s, "ConfigureNetwork", &message.request.base, network_is_there, s, &err))
        end(s, &err);
}

static void agent_is_ready(void *owner, const ProtobufCMessage *response, const struct err *why)
{
    struct sandbox *s = owner;

    if (s->state != SANDBOX_STARTING || sandbox_lost_agent(s))
        return;
    if (!response) {
        end_with_cause(s, why->kind, "the agent does not answer");
        return;
    }
    if (s->network)
        tell_network(s);
    else
        network_is_there(owner, response, why);
}

static FALLIBLE load(const char *what, const char *path, struct buffer *content, int *fd, struct err *err)
{
    if (!file_read(path, BOOT_FILE_MAX, content, err))
        return contextf(err, "config: %s", what);
    return !fd || memory_file(what, buffer_bytes(content), fd, err) || context(err, "boot");
}

/*
 * stage0 carries the hashes of what it may start. On real SNP hardware QEMU fills them in at launch, and fills in the
 * same table of an OVMF; elsewhere we write them into the copy that QEMU gets. What is measured is the file as it is,
 * and the hashes, either way.
 */
static FALLIBLE load_firmware(const struct sandbox_options *o, struct launch *l, struct err *err)
{
    AUTO(buffer) struct buffer patched = { 0 };
    struct kernel_hashes       hashes;

    if (!load("firmware", o->files.firmware, &l->firmware, NULL, err))
        return false;
    buffer_append(&patched, buffer_bytes(&l->firmware));
    kernel_hashes_of(buffer_bytes(&l->kernel), buffer_bytes(&l->initrd), o->append, &hashes);
    if (o->tee == TEE_SNP)
        l->loader = VM_LOADED_BY_QEMU;
    else if (kernel_hashes_patch(&hashes, patched.at, patched.len, err))
        l->loader = VM_LOADED_BY_STAGE0;
    else if (err->kind != ERR_NOT_FOUND)
        return context(err, "config");
    return memory_file("firmware", buffer_bytes(&patched), &l->firmware_fd, err) || context(err, "boot");
}

static FALLIBLE load_all(const struct sandbox_options *o, struct launch *l, struct err *err)
{
    if (!load("kernel", o->files.kernel, &l->kernel, &l->kernel_fd, err) ||
        !load("initrd", o->files.initrd, &l->initrd, &l->initrd_fd, err) || !load_firmware(o, l, err))
        return false;
    if (!memory_file("cmdline", bytes_of_text(o->append), &l->cmdline_fd, err))
        return context(err, "boot");
    if (!initdata_disk_write(o->initdata, &l->disk, err))
        return context(err, "initdata");
    return memory_file("initdata", buffer_bytes(&l->disk), &l->disk_fd, err) || context(err, "initdata");
}

/* Nameless and sparse: it takes room as the guest fills it, and is gone with the VM. */
static FALLIBLE open_scratch(const struct sandbox_options *o, struct launch *l, struct err *err)
{
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp";

    if (o->scratch_mib == 0)
        return true;
    l->scratch_fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (l->scratch_fd < 0 || ftruncate(l->scratch_fd, (off_t) o->scratch_mib << 20) < 0)
        return err_os(err, "boot: scratch disk in %.160s", folder);
    return true;
}

/* The lock goes with the descriptor to the hypervisor, and ends with it. */
static FALLIBLE open_volume(const struct sandbox_volume *v, struct vm_disk *out, struct err *err)
{
    AUTO(fd) int fd = open(v->path, (v->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    struct stat  st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_os(err, "volume %.16s: %.160s", v->name, v->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return fail_with(err, ERR_CONFIG, "volume %.16s: %.160s is neither a file nor a block device", v->name, v->path);
    if (S_ISREG(st.st_mode) && (st.st_size == 0 || st.st_size % 512 != 0))
        return fail_with(err, ERR_CONFIG, "volume %.16s: %.120s has %lld bytes: make it with truncate -s SIZE", v->name, v->path,
                         (long long) st.st_size);
    if (flock(fd, (v->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? fail_with(err, ERR_CONFIG, "volume %.16s: %.160s is in use", v->name, v->path)
                                    : err_os(err, "volume %.16s: lock %.160s", v->name, v->path);
    if (snprintf(out->serial, sizeof out->serial, "vol-%s", v->name) >= (int) sizeof out->serial)
        return fail_with(err, ERR_CONFIG, "volume name \"%.40s\" is too long", v->name);
    out->fd           = TAKE_FD(fd);
    out->is_read_only = v->read_only;
    out->is_block     = S_ISBLK(st.st_mode);
    return true;
}

static FALLIBLE open_volumes(const struct sandbox_options *o, struct launch *l, struct err *err)
{
    if (o->n_disks > VM_DISKS_MAX || o->n_volumes > VM_DISKS_MAX - o->n_disks)
        return fail_with(err, ERR_CONFIG, "config: %zu disks; at most %d fit", o->n_disks + o->n_volumes, VM_DISKS_MAX);
    for (; l->n_lent < o->n_disks; l->n_lent++)
        l->disks[l->n_lent] = o->disks[l->n_lent];
    l->n_disks = l->n_lent;
    for (size_t i = 0; i < o->n_volumes; i++, l->n_disks++)
        if (!open_volume(&o->volumes[i], &l->disks[l->n_disks], err))
            return context(err, "config");
    return true;
}

static FALLIBLE open_pair(int *ours, int *theirs, struct err *err)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "boot: socket pair");
    *ours   = ends[0];
    *theirs = ends[1];
    return true;
}

/* What is said to a port waits there until the guest opens it, or comes to the socket that listens for it. */
static FALLIBLE open_ports(const struct sandbox_options *o, struct launch *l, size_t n_ports, struct err *err)
{
    bool use_vsock = o->channel == CHANNEL_VSOCK || (o->channel == CHANNEL_AUTO && access(VHOST_VSOCK_DEVICE, R_OK | W_OK) == 0);

    if (use_vsock && !vhost_vsock_open(&l->vsock_fd, &l->guest_cid, err))
        return context(err, err->kind == ERR_NOT_FOUND ? "config" : "boot");
    for (unsigned i = 0; i < n_ports; i++) {
        if (use_vsock && !vsock_listen(l->guest_cid, i, &l->ours[i], err))
            return context(err, "boot");
        if (!use_vsock && !open_pair(&l->ours[i], &l->theirs[i], err))
            return false;
    }
    return open_pair(&l->console_ours, &l->console_theirs, err) && open_pair(&l->words_ours, &l->words_theirs, err);
}

/* The measured command line goes to the platform as it goes to QEMU; initdata is bound by its digest in HOST_DATA. */
static FALLIBLE start_platform(struct sandbox *s, struct launch *l, struct err *err)
{
    AUTO(initdata) struct initdata    initdata = { 0 };
    struct simulated_platform_options options  = {
         .firmware = buffer_bytes(&l->firmware),
         .kernel   = buffer_bytes(&l->kernel),
         .initrd   = buffer_bytes(&l->initrd),
         .append   = s->options.append,
         .cpus     = s->options.cpus,
         .key_directory = s->options.platform_keys,
    };

    if (!initdata_read(s->options.initdata, &initdata, err))
        return context(err, "initdata");
    initdata_fit(&initdata, options.host_data, sizeof options.host_data);
    return simulated_platform_start(&options, TAKE_FD(l->ours[PORT_REPORT]), &s->platform, err) ||
           context(err, "boot: simulated platform");
}

static FALLIBLE start_tpm(struct sandbox *s, struct launch *l, struct err *err)
{
    AUTO(fd) int of_swtpm = NO_FD;
    int          ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_os(err, "boot: socket pair");
    of_swtpm       = ends[0];
    l->tpm_of_qemu = ends[1];
    if (!software_tpm_make(s->options.tpm_identity, err) ||
        !software_tpm_start(s->options.tpm_identity, of_swtpm, l->words_theirs, &s->platform, err))
        return context(err, err->kind == ERR_NOT_FOUND ? "config" : "boot");
    return true;
}

/* HOST_DATA takes 32 bytes of the digest, MRCONFIGID 48. */
static FALLIBLE bind_initdata(const struct sandbox *s, struct vm_binding *binding, struct err *err)
{
    AUTO(initdata) struct initdata initdata = { 0 };

    if (!initdata_read(s->options.initdata, &initdata, err))
        return context(err, "initdata");
    initdata_fit(&initdata, binding->initdata_digest, s->options.tee == TEE_SNP ? 32 : sizeof binding->initdata_digest);
    return true;
}

static FALLIBLE start_vmm(struct sandbox *s, struct launch *l, size_t n_ports, struct err *err)
{
    struct vm_port   ports[N_PORTS];
    struct vm_nic    nics[NETWORK_INTERFACES_MAX];
    struct vm_config config = {
        .tee = s->options.tee, .accel = s->options.accel, .cpus = s->options.cpus,
        .memory_mib = s->options.memory_mib, .firmware_fd = l->firmware_fd, .kernel_fd = l->kernel_fd,
        .initrd_fd = l->initrd_fd, .append = s->options.append, .cmdline_fd = l->cmdline_fd, .loader = l->loader, .initdata_fd = l->disk_fd,
        .scratch_fd = l->scratch_fd, .disks = l->disks, .n_disks = l->n_disks, .shelf_fd = l->shelf_fd,
        .console_fd = l->console_theirs, .ports = ports, .n_ports = l->guest_cid ? 0 : n_ports,
        .guest_cid = l->guest_cid, .vsock_fd = l->vsock_fd,
        .nics = nics, .n_nics = s->network ? s->network->n_interfaces : 0,
        .tpm_fd = l->tpm_of_qemu, .binding = s->options.binding,
    };

    if (!bind_initdata(s, &config.binding, err))
        return false;
    for (size_t i = 0; i < config.n_ports; i++)
        ports[i] = (struct vm_port){ port_names[i], l->theirs[i] };
    for (size_t i = 0; i < config.n_nics; i++) {
        nics[i].tap_fd = s->options.network->taps[i];
        memcpy(nics[i].hardware, s->network->interfaces[i].hardware, HARDWARE_LEN);
    }
    if (!qemu_start(&config, l->words_theirs, &s->vmm, err))
        return context(err, err->kind == ERR_CONFIG || err->kind == ERR_UNSUPPORTED ? "config" : "boot");
    s->times.launch_ms = monotonic_ms();
    s->vmm_exit        = (struct loop_source){ .fd = s->vmm.pidfd, .ready = vmm_ended, .owner = s };
    return loop_add(s->options.loop, &s->vmm_exit, EPOLLIN, err) || context(err, "boot");
}

static FALLIBLE start_services(struct sandbox *s, struct launch *l, struct err *err)
{
    struct ttrpc_connection_options agent = { .loop = s->options.loop, .closed = agent_closed, .owner = s };
    struct blob_service_options     blobs = { .layout = s->options.layout, .more = s->options.more_blobs,
                                              .may_read = s->options.may_read, .kept = s->options.kept, .owner = s->options.owner,
                                              .cache = s->options.cache, .cache_max = s->options.cache_max };

    if (!blob_service_new(s->options.loop, &blobs, TAKE_FD(l->ours[PORT_BLOBS]), &s->blobs, err))
        return context(err, "config");
    if (!tunnel_service_new(s->options.loop, s->options.broker_url, TAKE_FD(l->ours[PORT_BROKER]), &s->tunnel, err))
        return context(err, "config");
    if (!console_open(&s->console, s->options.loop, TAKE_FD(l->console_ours), s->options.console_fd, err) ||
        !console_open(&s->words, s->options.loop, TAKE_FD(l->words_ours), s->options.console_fd, err))
        return context(err, "boot");
    s->console.said  = s->options.console_said;
    s->console.owner = s->options.console_owner;
    return ttrpc_connection_new(&agent, TAKE_FD(l->ours[PORT_AGENT]), &s->agent, err) || context(err, "boot");
}

/* The first request waits in the port until the agent opens it, which it does when it has attested. */
static FALLIBLE await_agent(struct sandbox *s, struct err *err)
{
    Agent__GetStatusRequest request = AGENT__GET_STATUS_REQUEST__INIT;

    s->boot_timer = (struct loop_source){ .fd = NO_FD, .ready = boot_timed_out, .owner = s };
    if (!loop_timer_fd(s->options.boot_timeout_ms, 0, &s->boot_timer.fd, err) ||
        !loop_add(s->options.loop, &s->boot_timer, EPOLLIN, err))
        return context(err, "boot");
    return sandbox_call(s, "GetStatus", &request.base, agent_is_ready, s, err);
}

FALLIBLE sandbox_start(const struct sandbox_options *options, struct sandbox **out, struct err *err)
{
    AUTO(sandbox) struct sandbox *s = calloc(1, sizeof *s);
    AUTO(launch) struct launch    l = { .firmware_fd = NO_FD, .kernel_fd = NO_FD, .initrd_fd = NO_FD, .cmdline_fd = NO_FD, .disk_fd = NO_FD,
                                        .console_ours = NO_FD, .console_theirs = NO_FD, .words_ours = NO_FD, .words_theirs = NO_FD, .tpm_of_qemu = NO_FD,
                                        .scratch_fd = NO_FD, .shelf_fd = NO_FD, .vsock_fd = NO_FD };
    size_t n_ports = options->tee == TEE_SIM ? N_PORTS : PORT_REPORT;

    if (!s)
        abort();
    for (size_t i = 0; i < N_PORTS; i++)
        l.ours[i] = l.theirs[i] = NO_FD;
    *s = (struct sandbox){ .options = *options, .shelf = NO_SHELF, .vmm = NO_PROCESS, .platform = NO_PROCESS, .vmm_exit.fd = NO_FD,
                           .boot_timer.fd = NO_FD, .console.source.fd = NO_FD, .words.source.fd = NO_FD };
    s->times.begin_ms = monotonic_ms();
    if (options->network) {
        s->network = malloc(sizeof *s->network);
        if (!s->network)
            abort();
        *s->network = options->network->pod.network;
    }
    if (options->has_shelf && !shelf_start(&s->shelf, &l.shelf_fd, err)) /* first: what is loaded next it has no use for */
        return context(err, "boot");
    if (!load_all(options, &l, err) || !open_scratch(options, &l, err) || !open_volumes(options, &l, err) ||
        !open_ports(options, &l, n_ports, err) || !start_services(s, &l, err))
        return false;
    if (options->tee == TEE_SIM && !start_platform(s, &l, err))
        return false;
    if (options->tee == TEE_TPM && !start_tpm(s, &l, err))
        return false;
    if (!start_vmm(s, &l, n_ports, err) || !await_agent(s, err))
        return false;
    *out = TAKE(s);
    return true;
}

FALLIBLE sandbox_call(struct sandbox *sandbox, const char *method, const ProtobufCMessage *request,
                      ttrpc_reply_fn *reply, void *owner, struct err *err)
{
    struct ttrpc_method called = { &agent_service, method };

    if (!sandbox->agent || sandbox->state == SANDBOX_ENDED)
        return fail_with(err, ERR_OS, "start: the VM has ended");
    return ttrpc_connection_call(sandbox->agent, &called, request, reply, owner, err) || context(err, "start");
}

FALLIBLE sandbox_lend(struct sandbox *sandbox, const char *name, int fd, struct err *err)
{
    if (sandbox->n_lent == SHELF_SLOTS)
        return fail_with(err, ERR_LIMIT, "config: over %d disks in one VM", SHELF_SLOTS);
    if (!shelf_put(&sandbox->shelf, name, fd, err))
        return context(err, "config");
    sandbox->n_lent++;
    return true;
}

bool sandbox_lost_agent(const struct sandbox *sandbox)
{
    return sandbox->agent && ttrpc_connection_is_over(sandbox->agent);
}

void sandbox_expect_end(struct sandbox *sandbox)
{
    if (sandbox->state == SANDBOX_READY || sandbox->state == SANDBOX_STARTING)
        sandbox->state = SANDBOX_STOPPING;
}

void sandbox_processes(const struct sandbox *sandbox, pid_t *vmm, pid_t *platform)
{
    *vmm      = sandbox->vmm.pid;
    *platform = sandbox->platform.pid;
}

const struct sandbox_times *sandbox_times(const struct sandbox *sandbox)
{
    return &sandbox->times;
}

void sandbox_console_copy(struct sandbox *sandbox, int fd)
{
    sandbox->console.raw_fd = fd;
}

FALLIBLE sandbox_console_write(struct sandbox *sandbox, struct bytes typed, struct err *err)
{
    ssize_t n = send(sandbox->console.source.fd, typed.at, typed.len, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n == (ssize_t) typed.len || err_os(err, "the guest does not read its console");
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    sandbox->state = SANDBOX_ENDED; /* nothing is told any more */
    end_processes(sandbox);
    close_services(sandbox);
    console_close(&sandbox->console);
    console_close(&sandbox->words);
    free(sandbox->network);
    free(sandbox);
}
