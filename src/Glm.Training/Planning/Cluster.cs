using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Glm.Training;

/// <summary>One device of a cluster.</summary>
public sealed record ClusterDevice
{
    /// <summary>What it is called.</summary>
    public string Name { get; init; } = "";

    /// <summary>Its memory, GiB.</summary>
    public double MemoryGib { get; init; }

    /// <summary>Its peak in the type that is computed in, 10^12 operations per second.</summary>
    public double Tflops { get; init; }

    /// <summary>The share of the peak that large matrix products reach.</summary>
    public double Efficiency { get; init; } = 0.5;

    /// <summary>What it reads from its memory, 10^9 bytes per second.</summary>
    public double BandwidthGbS { get; init; }
}

/// <summary>Hardware to plan for, described in YAML; the names of the file are those of the properties in snake case.</summary>
public sealed record Cluster
{
    private const string Prefix = "Cluster.";

    /// <summary>What it is called.</summary>
    public string Name { get; init; } = "";

    /// <summary>Number of nodes.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Devices in a node.</summary>
    public int DevicesPerNode { get; init; }

    /// <summary>The devices.</summary>
    public ClusterDevice Device { get; init; } = new();

    /// <summary>What a device sends to others in its node, 10^9 bytes per second.</summary>
    public double NodeGbS { get; init; }

    /// <summary>What a device sends to other nodes, 10^9 bytes per second.</summary>
    public double NetworkGbS { get; init; }

    /// <summary>Power of a node under load, kW; 0 if it is not known.</summary>
    public double NodeKw { get; init; }

    /// <summary>Carbon dioxide of a kilowatt-hour, kg; 0 if it is not known.</summary>
    public double CarbonKgPerKwh { get; init; }

    /// <summary>A training run that is planned for it, where no other is asked for.</summary>
    public TrainingLayout? Training { get; init; }

    /// <summary>Devices in all.</summary>
    [YamlIgnore]
    public int Devices => Nodes * DevicesPerNode;

    /// <summary>Names of the clusters that come with the program.</summary>
    public static IReadOnlyList<string> Presets { get; } =
        [.. typeof(Cluster).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => name[Prefix.Length..^".yaml".Length]).Order()];

    /// <summary>A cluster by its name, or of a file.</summary>
    /// <exception cref="GlmException">There is none, or a field is unknown, missing or impossible.</exception>
    public static Cluster Load(string nameOrPath)
    {
        if (Presets.Contains(nameOrPath))
        {
            using var preset = new StreamReader(typeof(Cluster).Assembly.GetManifestResourceStream($"{Prefix}{nameOrPath}.yaml")!);
            return Read(preset, nameOrPath);
        }
        if (!File.Exists(nameOrPath)) throw new GlmException($"{nameOrPath}: expected the YAML file of a cluster or one of {string.Join(", ", Presets)}");
        using var file = new StreamReader(nameOrPath);
        return Read(file, nameOrPath);
    }

    private static Cluster Read(TextReader reader, string path)
    {
        try
        {
            var cluster = new DeserializerBuilder().WithNamingConvention(UnderscoredNamingConvention.Instance).Build().Deserialize<Cluster?>(reader);
            return (cluster ?? throw new GlmException($"{path}: expected a cluster, found nothing")).Validated(path);
        }
        catch (YamlException error)
        {
            throw new GlmException($"{path}: line {error.Start.Line}: {(error.InnerException ?? error).Message}", error);
        }
    }

    private Cluster Validated(string path)
    {
        Require(Nodes, "nodes");
        Require(DevicesPerNode, "devices_per_node");
        Require(Device.MemoryGib, "device.memory_gib");
        Require(Device.Tflops, "device.tflops");
        Require(Device.BandwidthGbS, "device.bandwidth_gb_s");
        if (Device.Efficiency is not (> 0 and <= 1)) throw new GlmException($"{path}: device.efficiency: expected above 0 to 1, found {Device.Efficiency}");
        if (DevicesPerNode > 1) Require(NodeGbS, "node_gb_s");
        if (Nodes > 1) Require(NetworkGbS, "network_gb_s");
        return this;

        void Require(double value, string field)
        {
            if (!(value > 0)) throw new GlmException($"{path}: {field}: expected more than 0, found {value}");
        }
    }
}
