"""Check the settings of AWS and Google Cloud in `ray up` files, which Ray's schema lets pass."""

from collections.abc import Iterator, Mapping
from typing import Any

from search.cluster.files import schema_check
from search.cluster.files.findings import Finding, Place
from search.cluster.files.yaml_source import Document

_RESOURCES = ("CPU", "GPU", "memory", "object_store_memory")
_NODE_CONFIG: Mapping[str, tuple[str, ...]] = {
    # Of EC2's RunInstances (API of 2016-11-15), and `SubnetIds`, which is Ray's.
    "aws": (
        *("AdditionalInfo", "BlockDeviceMappings", "CapacityReservationSpecification"),
        *("ClientToken", "CpuOptions", "CreditSpecification", "DisableApiStop"),
        *("DisableApiTermination", "EbsOptimized", "EnablePrimaryIpv6", "EnclaveOptions"),
        *("HibernationOptions", "IamInstanceProfile", "ImageId", "InstanceMarketOptions"),
        *("InstanceInitiatedShutdownBehavior", "InstanceType", "Ipv6AddressCount"),
        *("Ipv6Addresses", "KernelId", "KeyName", "LaunchTemplate", "LicenseSpecifications"),
        *("MaintenanceOptions", "MetadataOptions", "Monitoring", "NetworkInterfaces"),
        *("Placement", "PrivateDnsNameOptions", "PrivateIpAddress", "RamdiskId"),
        *("SecurityGroupIds", "SecurityGroups", "SubnetId", "SubnetIds", "TagSpecifications"),
        "UserData",
    ),
    # Of Compute Engine's instances (v1), and of TPU nodes.
    "gcp": (
        *("acceleratorConfig", "acceleratorType", "advancedMachineFeatures", "canIpForward"),
        *("confidentialInstanceConfig", "deletionProtection", "description", "disks"),
        *("displayDevice", "guestAccelerators", "hostname", "instanceEncryptionKey"),
        *("keyRevocationActionType", "labels", "machineType", "metadata", "minCpuPlatform"),
        *("name", "networkConfig", "networkInterfaces", "networkPerformanceConfig", "params"),
        *("privateIpv6GoogleAccess", "reservationAffinity", "resourcePolicies"),
        *("runtimeVersion", "scheduling", "schedulingConfig", "serviceAccounts"),
        *("shieldedInstanceConfig", "sourceMachineImage", "tags", "zone"),
    ),
}
_NEAR = 0.8


def check(document: Document) -> Iterator[Finding]:
    """Yield names that are nearly those of a resource or of a machine's settings."""
    provider = document.value.get("provider")
    cloud = str(provider.get("type", "")) if isinstance(provider, dict) else ""
    types = document.value.get("available_node_types")
    for name, node_type in types.items() if isinstance(types, dict) else ():
        place: Place = ("available_node_types", str(name))
        for part, known in (
            ("resources", _RESOURCES),
            ("node_config", _NODE_CONFIG.get(cloud, ())),
        ):
            there = node_type.get(part) if isinstance(node_type, dict) else None
            yield from _find_near_misses(document, (*place, part), there, known)
    yield from _find_open_rules(document)


def _find_near_misses(
    document: Document, place: Place, there: Any, known: tuple[str, ...]
) -> Iterator[Finding]:
    for name in there if isinstance(there, dict) else ():
        meant = (
            ""
            if str(name) in known
            else schema_check.suggest_nearest(str(name), known, at_least=_NEAR)
        )
        if meant:
            yield document.finding((*place, str(name)), f"there is no {name} here{meant}")


def _find_open_rules(document: Document) -> Iterator[Finding]:
    """Yield rules of a security group that let in everybody."""
    for place, value in document.mappings():
        for name in ("CidrIp", "CidrIpv6"):
            if value.get(name) in ("0.0.0.0/0", "::/0"):
                yield document.finding(
                    (*place, name), "lets the world in; name the addresses that you come from"
                )
