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

static bool is_port_name(const char *name)
{
    return name[0] != 0 && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.")] == 0;
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
    for (size_t i = 0; i < config->n_ports; i++)
        if (!is_port_name(config->ports[i].name))
            return fail_with(err, ERR_BUG, "port name \"%s\"", config->ports[i].name);
    return true;
}
