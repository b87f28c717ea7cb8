using System.Text.RegularExpressions;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The tensors of a LoRA adapter (ChatGLM spec 14.2), <c>base_model.model.MODULE.lora_A.weight</c> <c>[r, in]</c> and <c>lora_B</c> <c>[out, r]</c>: W becomes
/// W + s B A. A module is named as any checkpoint of the architecture names it; where queries, keys and values are modules of their own, they change their rows of the
/// fused matrix.
/// </summary>
internal sealed partial class LoraAdapter
{
    /// <summary>Rows of a matrix that are merged together, so that the float32 numbers of a step take little memory.</summary>
    private const int MergedRows = 512;

    private readonly TensorStore _store;
    private readonly LoraConfig _config;
    private readonly LanguageModel _model;
    private readonly Dictionary<string, LowRank> _additions;

    /// <summary>Reads an adapter of a model.</summary>
    /// <exception cref="GlmException">It lacks a tensor, or has one of another shape or of what the model does not have.</exception>
    public LoraAdapter(TensorStore store, LoraConfig config, LanguageModel model)
    {
        _store = store;
        _config = config;
        _model = model;
        _additions = Read();
    }

    /// <summary>The model with the adapter.</summary>
    public LanguageModel Apply(Workers workers, bool merge)
    {
        var context = new Context(workers);
        var tensors = _model.Parameters.ToDictionary(p => p.Name, p => p.Tensor);
        foreach (var (name, addition) in _additions)
            tensors[name] = merge && tensors[name].Type.IsFloat() ? Merged(context, tensors[name], addition) : tensors[name].With(addition);
        return _model.With(name => tensors[name]);
    }

    private Dictionary<string, LowRank> Read()
    {
        var names = Halves();
        var targets = Targets();
        var found = new Dictionary<string, List<(Target Target, Tensor Down, Tensor Up)>>();
        foreach (string module in names.Keys.Select(half => half.Module).Distinct())
        {
            if (!targets.TryGetValue(module, out var target))
                throw new GlmException($"{_store.Path}: {module}: expected a matrix of the layers of {_model.Config.Architecture}, found none of that name in the model");
            var down = Half("A", [_config.R, target.Columns]);
            var up = Half("B", [target.Rows, _config.R]);
            if (!found.TryGetValue(target.Parameter, out var parts)) found.Add(target.Parameter, parts = []);
            parts.Add((target, down, up));

            Tensor Half(string half, int[] shape)
            {
                if (!names.TryGetValue((module, half), out string? name)) throw new GlmException($"{_store.Path}: expected a tensor named base_model.model.{module}.lora_{half}.weight, found none");
                var tensor = _store[name];
                return tensor.Type.IsFloat() && tensor.Shape.SequenceEqual(shape) ? tensor
                    : throw new GlmException($"{_store.Path}: {name}: expected floating-point numbers [{string.Join(", ", shape)}], found {tensor}");
            }
        }
        if (found.Count == 0) throw new GlmException($"{_store.Path}: expected the tensors of a LoRA adapter, found none");
        return found.ToDictionary(entry => entry.Key, entry => Joined(_model.Parameters.First(p => p.Name == entry.Key).Tensor, entry.Value));
    }

    /// <summary>The tensors' names by module and by half, A or B.</summary>
    private Dictionary<(string Module, string Half), string> Halves()
    {
        var names = new Dictionary<(string, string), string>();
        foreach (string name in _store.Names)
        {
            if (TensorName().Match(name) is not { Success: true } match)
                throw new GlmException($"{_store.Path}: {name}: expected base_model.model.MODULE.lora_A.weight or lora_B, found another name");
            var half = (match.Groups["module"].Value, match.Groups["half"].Value);
            if (!names.TryAdd(half, name)) throw new GlmException($"{_store.Path}: {name}: expected one adapter, found {names[half]} as well");
        }
        return names;
    }

    /// <summary>What may be changed: matrices that are multiplied with, by the module's names in checkpoints.</summary>
    private Dictionary<string, Target> Targets()
    {
        var heads = _model.Heads;
        int queries = heads.Heads * heads.HeadSize, keys = heads.KeyValueHeads * heads.HeadSize;
        var targets = new Dictionary<string, Target>();
        // Names of the embedding stand in for a tied output matrix in checkpoints, but an adapter means the embedding by them.
        string[] embedding = [.. Names(_model.Parameters.First(p => p.Tensor == _model.WordEmbeddings).Name).Select(parts => parts[0])];
        foreach (var (name, tensor) in _model.Parameters.Where(p => p.Tensor.Shape.Length == 2))
            foreach (string[] stored in Names(name))
                if (stored is [var query, var key, var value])
                {
                    targets.TryAdd(query, new Target(name, heads.QueryOffset, queries, tensor.Columns));
                    targets.TryAdd(key, new Target(name, heads.KeyOffset, keys, tensor.Columns));
                    targets.TryAdd(value, new Target(name, heads.ValueOffset, keys, tensor.Columns));
                }
                else if (!embedding.Contains(stored[0])) targets.TryAdd(stored[0], new Target(name, 0, tensor.Rows, tensor.Columns));
        return targets;

        IEnumerable<string[]> Names(string name) =>
            _model.Config.StoredNames(name).Prepend([name]).Select(parts => Array.ConvertAll(parts, part => part.EndsWith(".weight", StringComparison.Ordinal) ? part[..^".weight".Length] : part));
    }

    /// <summary>The additions to parts of a matrix as one: A of all of them under each other, every B in its rows and columns.</summary>
    private LowRank Joined(Tensor weight, List<(Target Target, Tensor Down, Tensor Up)> parts)
    {
        int rank = _config.R, ranks = rank * parts.Count;
        float[] down = new float[ranks * weight.Columns], up = new float[weight.Rows * ranks];
        for (int i = 0; i < parts.Count; i++)
        {
            var (target, a, b) = parts[i];
            a.CopyTo(down.AsSpan(i * rank * weight.Columns, rank * weight.Columns));
            float[] values = b.ToArray();
            for (int row = 0; row < target.Rows; row++)
                for (int k = 0; k < rank; k++) up[(target.FirstRow + row) * ranks + i * rank + k] = (float)(_config.Scale * values[row * rank + k]);
        }
        return new LowRank(Tensor.From(down, ranks, weight.Columns), Tensor.From(up, weight.Rows, ranks));
    }

    /// <summary>W + Up Down in the type of W.</summary>
    private static Tensor Merged(Context context, Tensor weight, LowRank addition)
    {
        int ranks = addition.Down.Rows, columns = weight.Columns;
        float[] down = addition.Down.ToArray(), transposed = new float[down.Length];
        for (int k = 0; k < ranks; k++)
            for (int column = 0; column < columns; column++) transposed[column * ranks + k] = down[k * columns + column];
        var turned = Tensor.From(transposed, columns, ranks);
        var merged = Tensor.Allocate(weight.Type, weight.Shape);
        for (int row = 0; row < weight.Rows; row += MergedRows)
        {
            int rows = Math.Min(MergedRows, weight.Rows - row);
            context.Reset();
            merged.Slice(row, rows).CopyFrom(context.Residual(weight.Slice(row, rows), context.Linear(addition.Up.Slice(row, rows), turned), 1));
        }
        return merged;
    }

    [GeneratedRegex(@"^base_model\.model\.(?<module>.+)\.lora_(?<half>[AB])(\.\w+)?\.weight$", RegexOptions.ExplicitCapture)]
    private static partial Regex TensorName();

    /// <summary>Where a module's rows are: a whole matrix, or the queries, keys or values of the fused one.</summary>
    private sealed record Target(string Parameter, int FirstRow, int Rows, int Columns);
}
