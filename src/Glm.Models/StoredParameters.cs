using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>The parameters of a configuration among the tensors of a checkpoint, which may have them under other names or in parts.</summary>
/// <param name="config">The configuration.</param>
/// <param name="store">The checkpoint.</param>
/// <param name="names">Where it may hold a parameter (<see cref="ModelConfig.StoredNames"/>).</param>
/// <param name="read">Reads a tensor of the checkpoint, if not as it is.</param>
/// <param name="decoded">What blocks that kernels do not have are read as.</param>
internal sealed class StoredParameters(
    ModelConfig config, TensorStore store, Func<string, IEnumerable<string[]>> names, Func<string, Tensor>? read = null, DType decoded = DType.Float32)
{
    /// <summary>What the name of scales ends with.</summary>
    public const string ScaleSuffix = "_scale";

    /// <summary>What was read, by the names it is stored under: tied parameters are one tensor.</summary>
    private readonly Dictionary<string, Tensor> _read = [];

    /// <summary>The name of the scales of a quantised matrix.</summary>
    public static string ScaleName(string name) => name + ScaleSuffix;

    /// <summary>All parameters by name.</summary>
    /// <exception cref="GlmException">One is missing, or has another type or shape than it should.</exception>
    public Dictionary<string, Tensor> Read() => Read(config.Parameters());

    /// <summary>Some parameters, of the shapes that this process has of them, by name.</summary>
    /// <exception cref="GlmException">One is missing, or has another type or shape than it should.</exception>
    public Dictionary<string, Tensor> Read(IEnumerable<(string Name, int[] Shape)> wanted) => wanted.ToDictionary(p => p.Name, p => Read(p.Name, p.Shape));

    /// <summary>A parameter: matrices as they are stored, everything else as float32.</summary>
    /// <exception cref="GlmException">It is missing, or has another type or shape than it should.</exception>
    private Tensor Read(string name, int[] shape)
    {
        string key = string.Join(' ', Find(name));
        if (_read.TryGetValue(key, out var known)) return known;
        var tensor = Load(name, shape);
        return _read[key] = shape.Length == 1 ? tensor.To(DType.Float32) : tensor;
    }

    /// <summary>A parameter just as it is stored, read anew each time, so that nothing of it stays in memory.</summary>
    /// <exception cref="GlmException">It is missing, or has another type or shape than it should.</exception>
    public Tensor Load(string name, int[] shape)
    {
        string[] stored = Find(name);
        string key = string.Join(' ', stored);
        var tensor = JoinedRows.Of(store.FileOf(stored[0]), key, [.. stored.Select(part => read is null ? store[part] : read(part))]);
        if (config.IsQuantizable(name) && HasScales(stored))
        {
            string file = store.FileOf(stored[0]);
            return Quantized(file, key, tensor, JoinedRows.Of(file, ScaleName(key), [.. stored.Select(part => store[ScaleName(part)])]), shape);
        }
        if (!(tensor.Type.IsFloat() || tensor.Type.IsBlock()) || !tensor.Shape.SequenceEqual(shape))
            throw new GlmException($"{store.FileOf(stored[0])}: {key}: expected floating-point numbers [{string.Join(", ", shape)}], found {tensor}");
        return tensor;
    }

    /// <summary>What <see cref="Load"/> gives, from headers alone: the type, and for a matrix quantised by row the segments of its scales, otherwise 0.</summary>
    /// <exception cref="GlmException">It is missing, or has a type that cannot be read.</exception>
    public (DType Type, int Segments) TypeOf(string name, int[] shape)
    {
        string[] stored = Find(name);
        DType[] types = [.. stored.Select(part => TypeOf(part, store.FindInfo(part)!)).Distinct()];
        if (!config.IsQuantizable(name) || !HasScales(stored)) return (types.Length == 1 ? types[0] : DType.BFloat16, 0);
        bool halved = store.FindInfo(stored[0])!.Shape is [_, var packed] && packed * 2L == shape[^1];
        return (halved ? DType.Int4 : DType.Int8, store.FindInfo(ScaleName(stored[0]))!.Shape is [var segments, _] ? segments : 1);
    }

    private bool HasScales(string[] stored) => stored.All(part => store.FindInfo(ScaleName(part)) is not null);

    /// <summary>The type of a tensor of the checkpoint; blocks take fewer bytes than the floating-point numbers that they are read as.</summary>
    private DType TypeOf(string name, TensorInfo info) => info.Type switch
    {
        null => throw new GlmException($"{store.FileOf(name)}: {name}: expected a type that can be read, found {info.StoredAs}"),
        DType.Float32 when info.Bytes < DType.Float32.Bytes(info.Shape.Aggregate(1L, (count, size) => count * size)) => decoded,
        { } type => type,
    };

    /// <summary>Number of parameters and bytes of each type that they are stored in, from headers alone; tied ones once.</summary>
    /// <exception cref="GlmException">A parameter is missing, or has a type that cannot be read.</exception>
    public IReadOnlyDictionary<DType, (int Tensors, long Bytes)> Inventory()
    {
        var found = new SortedDictionary<DType, (int Tensors, long Bytes)>();
        var counted = new HashSet<string>();
        foreach (var (name, shape) in config.Parameters())
        {
            string[] stored = Find(name);
            if (!counted.Add(stored[0])) continue;
            TensorInfo[] infos = [.. stored.Select(part => store.FindInfo(part)!)];
            var (type, _) = TypeOf(name, shape);
            var (tensors, bytes) = found.GetValueOrDefault(type);
            found[type] = (tensors + 1, bytes + infos.Sum(info => info.Bytes) + stored.Sum(part => store.FindInfo(ScaleName(part))?.Bytes ?? 0));
        }
        return found;
    }

    /// <summary>The names of the parts of a parameter; one, as a rule.</summary>
    private string[] Find(string name)
    {
        string[][] alternatives = [.. names(name)];
        return Array.Find(alternatives, parts => parts.All(part => store.FindInfo(part) is not null))
            ?? throw new GlmException($"{store.Path}: expected a tensor named {string.Join(" or ", alternatives.Select(parts => string.Join(" + ", parts)))}, found none among {store.Names.Count}");
    }

    /// <summary>The bytes of a matrix and its scales as one tensor.</summary>
    /// <exception cref="GlmException">They do not belong together.</exception>
    public static Tensor Quantized(string file, string name, Tensor packed, Tensor scales, int[] shape)
    {
        try
        {
            return packed.AsQuantized(shape[0], shape[1], scales);
        }
        catch (ArgumentException error)
        {
            throw new GlmException($"{file}: {name}: expected a quantised weight [{string.Join(", ", shape)}], found {packed} with scales {scales}", error);
        }
    }
}
