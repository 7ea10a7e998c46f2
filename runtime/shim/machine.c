#include "runtime/shim/machine.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "keys/api/development_root.h"
#include "keys/api/initdata.h"
#include "runtime/net/pod_link.h"
#include "runtime/net/port_forward.h"
#include "runtime/sandbox/guest_bundle.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/vmm/host.h"

/* As `cloister measure snp` assumes: SMT allowed; no debugging, no migration. [SNP-ABI table 9] */
#define SNP_POLICY    0x30000
#define SNP_CPU_MODEL "EPYC-v4"

struct machine {
    struct sandbox *sandbox;
    struct pod_link network; /* as long as the VM lives: its end takes the redirections with it */
    struct port_forward *forward; /* NULL: none */
};

static void end(struct machine *machine)
{
    if (!machine)
        return;
    port_forward_free(machine->forward);
    sandbox_free(machine->sandbox);
    pod_link_close(&machine->network);
    free(machine);
}
DEFINE_AUTO(machine, struct machine *, end)

/* What each platform does not protect is said at every start. */
static FALLIBLE choose_platform(const struct settings *settings, struct sandbox_options *out, struct err *err)
{
    AUTO(host) struct host host = { 0 };
    const char            *why, *accel_why;

    if (!host_look("", &host, err) || !host_choose_tee(settings->tee, &host, &out->tee, &why, err))
        return false;
    if ((out->tee == TEE_SNP || out->tee == TEE_TDX) && !host.has_qemu)
        host_ask_qemu(&host);
    if (!channel_read(settings->channel, &out->channel, err) || !host_check_tee(&host, out->tee, err) ||
        !host_choose_accelerator(settings->accel, &host, &out->accel, &accel_why, err))
        return false;
    switch (out->tee) {
    case TEE_SNP:
        out->binding.snp_policy = SNP_POLICY;
        out->binding.cpu_model  = SNP_CPU_MODEL;
        out->binding.c_bit             = host.c_bit;
        out->binding.reduced_phys_bits = host.reduced_phys_bits;
        break;
    case TEE_TDX:
        break;
    case TEE_TPM:
        log_error("tee=tpm HIDES NOTHING from this host", "why=\"%s\"", why);
        break;
    case TEE_SIM:
        log_error("tee=sim PROTECTS NOTHING", "why=\"%s\"", why);
        break;
    }
    return true;
}

/* A pod runs without: nobody can be forwarded to it then. */
static void forward_ports(struct machine *machine, const struct machine_options *options)
{
    const struct network *network = &machine->network.pod.network;
    struct err            err;

    for (size_t i = 0; i < network->n_addresses; i++) {
        if (network->addresses[i].ip.len != 4)
            continue;
        if (!port_forward_open(options->loop, options->network, &network->addresses[i].ip, &machine->forward, &err))
            log_error("no ports are forwarded to this pod", "why=\"%s\"", err.text);
        return;
    }
}

static FALLIBLE find_broker(struct bytes initdata, struct initdata_broker *out, struct err *err)
{
    AUTO(initdata) struct initdata read = { 0 };

    return (initdata_read(initdata, &read, err) && initdata_broker(&read, out, err)) || context(err, "initdata");
}

static bool start(const struct machine_options *options, struct machine **out, struct err *err)
{
    AUTO(initdata_broker) struct initdata_broker broker = { 0 };
    AUTO(guest_bundle) struct guest_bundle       guest  = { 0 };
    AUTO(machine) struct machine                *machine = calloc(1, sizeof *machine);
    AUTO(text) char                             *keys = NULL, *tpm = NULL;
    struct guest_bundle_options                  bundle = { .directory = options->settings->guest };
    struct sandbox_options sandbox = { .loop = options->loop, .cpus = options->cpus, .memory_mib = options->memory_mib,
                                       .initdata = options->initdata, .layout = options->blobs,
                                       .more_blobs = options->more_blobs, .may_read = options->may_read, .kept = options->kept,
                                       .has_shelf = options->has_shelf, .cache = options->cache, .cache_max = options->cache_max, .console_fd = NO_FD,
                                       .boot_timeout_ms = (uint32_t) options->settings->boot_timeout_s * 1000,
                                       .ready = options->ready, .ended = options->ended, .owner = options->owner };

    if (!machine)
        abort();
    machine->network = NO_POD_LINK;
    if (!choose_platform(options->settings, &sandbox, err))
        return context(err, "config");
    bundle.tee = sandbox.tee;
    if (!guest_bundle_find(&bundle, &guest, err))
        return context(err, "config");
    if (!find_broker(options->initdata, &broker, err))
        return false;
    if (options->network && !pod_link_open(options->network, &machine->network, err))
        return context(err, "config: network");
    if (options->network)
        forward_ports(machine, options);
    development_root_folder(&keys);
    development_tpm_folder(&tpm);
    sandbox.files         = (struct sandbox_files){ guest.firmware, guest.kernel, guest.initrd };
    sandbox.append        = guest.append;
    sandbox.broker_url    = broker.url;
    sandbox.platform_keys = keys;
    sandbox.tpm_identity  = tpm;
    sandbox.network       = options->network ? &machine->network : NULL;
    if (!sandbox_start(&sandbox, &machine->sandbox, err))
        return false;
    *out = TAKE(machine);
    return true;
}

static bool call(struct machine *machine, const char *method, const ProtobufCMessage *request, ttrpc_reply_fn *reply,
                 void *owner, struct err *err)
{
    return sandbox_call(machine->sandbox, method, request, reply, owner, err);
}

static bool lend(struct machine *machine, const char *name, int fd, struct err *err)
{
    return sandbox_lend(machine->sandbox, name, fd, err);
}

static bool is_lost(const struct machine *machine)
{
    return sandbox_lost_agent(machine->sandbox);
}

static void processes(const struct machine *machine, pid_t *vmm, pid_t *platform)
{
    sandbox_processes(machine->sandbox, vmm, platform);
}

const struct machine_driver sandbox_machine = { .start = start, .call = call, .lend = lend, .is_lost = is_lost, .processes = processes, .free = end };
