using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>The parameters of a configuration among the tensors of a checkpoint, which may have them under other names or in parts.</summary>
/// <param name="config">The configuration.</param>
/// <param name="store">The checkpoint.</param>
/// <param name="names">Where it may hold a parameter (<see cref="ModelConfig.StoredNames"/>).</param>
/// <param name="read">Reads a tensor of the checkpoint, if not as it is.</param>
internal sealed class StoredParameters(ModelConfig config, TensorStore store, Func<string, IEnumerable<string[]>> names, Func<string, Tensor>? read = null)
{
    private const string ScaleSuffix = "_scale";

    /// <summary>What was read, by the names it is stored under: tied parameters are one tensor.</summary>
    private readonly Dictionary<string, Tensor> _read = [];

    /// <summary>The name of the scales of a quantised matrix.</summary>
    public static string ScaleName(string name) => name + ScaleSuffix;

    /// <summary>All parameters by name.</summary>
    /// <exception cref="GlmException">One is missing, or has another type or shape than it should.</exception>
    public Dictionary<string, Tensor> Read() => config.Parameters().ToDictionary(p => p.Name, p => Read(p.Name, p.Shape));

    /// <summary>A parameter: matrices as they are stored, everything else as float32.</summary>
    /// <exception cref="GlmException">It is missing, or has another type or shape than it should.</exception>
    private Tensor Read(string name, int[] shape)
    {
        string[] stored = Find(name);
        string key = string.Join(' ', stored);
        if (_read.TryGetValue(key, out var known)) return known;
        var tensor = JoinedRows.Of(store.FileOf(stored[0]), key, [.. stored.Select(part => read is null ? store[part] : read(part))]);
        if (config.IsQuantizable(name) && stored.All(part => store.FindInfo(ScaleName(part)) is not null)) tensor = Quantized(stored, key, tensor, shape);
        else if (!(tensor.Type.IsFloat() || tensor.Type.IsBlock()) || !tensor.Shape.SequenceEqual(shape))
            throw new GlmException($"{store.FileOf(stored[0])}: {key}: expected floating-point numbers [{string.Join(", ", shape)}], found {tensor}");
        return _read[key] = shape.Length == 1 ? tensor.To(DType.Float32) : tensor;
    }

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
            var type = infos[0].Type ?? throw new GlmException($"{store.FileOf(stored[0])}: {stored[0]}: expected a type that can be read, found {infos[0].StoredAs}");
            if (type == DType.Int8 && infos[0].Shape is [_, var packed] && packed * 2L == shape[^1]) type = DType.Int4;
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

    private Tensor Quantized(string[] stored, string key, Tensor packed, int[] shape)
    {
        var scales = JoinedRows.Of(store.FileOf(stored[0]), ScaleName(key), [.. stored.Select(part => store[ScaleName(part)])]);
        try
        {
            return packed.AsQuantized(shape[0], shape[1], scales);
        }
        catch (ArgumentException error)
        {
            throw new GlmException($"{store.FileOf(stored[0])}: {key}: expected a quantised weight [{string.Join(", ", shape)}], found {packed} with scales {scales}", error);
        }
    }
}
