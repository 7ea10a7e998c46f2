#include "runtime/vmm/vm.h"

#include <string.h>

const char *tee_name(enum tee tee)
{
    switch (tee) { /* no default: the compiler names a forgotten one */
#define TEE_CASE(name, text) case name: return text;
        TEES(TEE_CASE)
#undef TEE_CASE
    }
    return "?";
}

const char *accelerator_name(enum accelerator accel)
{
    return accel == ACCEL_KVM ? "kvm" : "tcg";
}

FALLIBLE channel_read(const char *word, enum channel *out, struct err *err)
{
#define CHANNEL_READ(name, text)    \
    if (strcmp(word, text) == 0) {  \
        *out = name;                \
        return true;                \
    }
    CHANNELS(CHANNEL_READ)
#undef CHANNEL_READ
    return fail_with(err, ERR_CONFIG, "channel \"%.40s\": auto, vsock or serial is wanted", word);
}

static bool is_port_name(const char *name)
{
    return name[0] != 0 && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.")] == 0;
}

/* Paths and model names become part of an option's text, where a comma would begin another option. */
static bool is_plain(const char *text, const char *also)
{
    for (const char *c = text; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && !strchr(also, *c))
            return false;
    return text[0] != 0;
}

static FALLIBLE check_binding(const struct vm_config *config, struct err *err)
{
    const struct vm_binding *b = &config->binding;

    if (config->accel != ACCEL_KVM)
        return fail_with(err, ERR_CONFIG, "--tee %s needs KVM", tee_name(config->tee));
    if (config->tee == TEE_TDX)
        return !b->quote_socket || is_plain(b->quote_socket, "/._-") ||
               fail_with(err, ERR_CONFIG, "path of the quote generation service: letters, digits, / . _ - are possible");
    if (!b->cpu_model || !is_plain(b->cpu_model, "-"))
        return fail_with(err, ERR_CONFIG, "CPU model \"%s\"", b->cpu_model ? b->cpu_model : "");
    if ((b->id_block.len != 0 && b->id_block.len != 96) || b->id_auth.len > 4096 || !b->id_block.len != !b->id_auth.len)
        return fail_with(err, ERR_CONFIG, "ID block of %zu bytes and authentication of %zu; 96 and at most 4096 are wanted",
                         b->id_block.len, b->id_auth.len);
    return true;
}

FALLIBLE vm_config_check(const struct vm_config *config, struct err *err)
{
    if (config->cpus < 1 || config->cpus > VM_CPUS_MAX)
        return fail_with(err, ERR_CONFIG, "%u CPUs; 1 to %d are possible", config->cpus, VM_CPUS_MAX);
    if (config->memory_mib < VM_MEMORY_MIN_MIB || config->memory_mib > VM_MEMORY_MAX_MIB)
        return fail_with(err, ERR_CONFIG, "%u MiB of memory; %d to %d are possible", config->memory_mib,
                         VM_MEMORY_MIN_MIB, VM_MEMORY_MAX_MIB);
    if (strlen(config->append) > VM_APPEND_MAX)
        return fail_with(err, ERR_CONFIG, "a kernel command line of %zu bytes; at most %d fit", strlen(config->append),
                         VM_APPEND_MAX);
    if (config->n_ports > VM_PORTS_MAX)
        return fail_with(err, ERR_BUG, "%zu ports; at most %d fit", config->n_ports, VM_PORTS_MAX);
    if (config->guest_cid != 0 && config->n_ports > 0)
        return fail_with(err, ERR_BUG, "vsock and %zu ports", config->n_ports);
    if (config->n_nics > VM_NICS_MAX)
        return fail_with(err, ERR_CONFIG, "%zu network interfaces; at most %d fit", config->n_nics, VM_NICS_MAX);
    if (config->n_disks > VM_DISKS_MAX)
        return fail_with(err, ERR_CONFIG, "%zu disks; at most %d fit", config->n_disks, VM_DISKS_MAX);
    for (size_t i = 0; i < config->n_disks; i++)
        if (!config->disks[i].serial[0] || !is_plain(config->disks[i].serial, "-"))
            return fail_with(err, ERR_BUG, "serial \"%s\"", config->disks[i].serial);
    for (size_t i = 0; i < config->n_ports; i++)
        if (!is_port_name(config->ports[i].name))
            return fail_with(err, ERR_BUG, "port name \"%s\"", config->ports[i].name);
    return (config->tee != TEE_SNP && config->tee != TEE_TDX) || check_binding(config, err);
}
