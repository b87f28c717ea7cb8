using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// A model whose weights may be larger than memory: as many as fit stay there, the others are read from their files each time that they are multiplied
/// (<see cref="WeightStream"/>).
/// </summary>
/// <param name="Model">The model.</param>
/// <param name="Stream">What reads the weights that do not fit; null if all of them do.</param>
/// <param name="StreamedBytes">Bytes that every pass through the model reads.</param>
public sealed record LimitedMemory(LanguageModel Model, WeightStream? Stream, long StreamedBytes) : IDisposable
{
    /// <summary>What the program itself takes.</summary>
    private const long ProgramBytes = 200 << 20;

    private const long LargestRing = 256 << 20, SmallestRing = 48 << 20;

    /// <summary>Tokens of a causal context that are computed together, and of any context that room is kept for.</summary>
    private const int PieceTokens = 512, ContextTokens = 2048;

    /// <summary>A model that may take what it needs: its matrices, all of which each token reads, come in large pages where the system has them.</summary>
    public static LimitedMemory None(LanguageModel model)
    {
        foreach (var tensor in Matrices(model)) tensor.PreferLargePages();
        return new LimitedMemory(model, null, 0);
    }

    /// <summary>Spreads the weights of a model over memory and disk.</summary>
    /// <param name="model">A model whose quantised matrices are packed and mapped.</param>
    /// <param name="memory">Bytes that the whole process may take.</param>
    /// <param name="cacheType">How keys and values will be stored.</param>
    /// <param name="tokens">Tokens that will be cached, of all sequences; what most uses need if null.</param>
    /// <exception cref="GlmException">It cannot run in so little memory, or a weight that does not fit lies in no file that it could be read from.</exception>
    public static LimitedMemory Fit(LanguageModel model, long memory, DType cacheType, int? tokens = null)
    {
        long working = WorkingBytes(model.Config, cacheType, tokens) + AdapterBytes(model), weights = memory - working;
        long needed = Math.Min(Matrices(model).Sum(Size), SmallestRing);
        if (weights < needed) throw new GlmException($"memory: expected at least {working + needed:N0} bytes for this model, found {memory:N0}");
        return Spread(model, weights, Math.Clamp(weights / 8, SmallestRing, LargestRing));
    }

    /// <summary>Spreads weights over so much memory, of which the ring is a part if not all of them fit.</summary>
    internal static LimitedMemory Spread(LanguageModel model, long weights, long ring)
    {
        var matrices = Matrices(model);
        if (matrices.Sum(Size) <= weights) return new LimitedMemory(model, null, 0);
        long left = weights - ring;
        var stream = new WeightStream(ring);
        var moved = new Dictionary<Tensor, Tensor>();
        long streamed = 0;
        try
        {
            foreach (var (name, tensor) in model.Parameters)
            {
                if (!matrices.Contains(tensor) || moved.ContainsKey(tensor)) continue;
                if (Size(tensor) <= left)
                {
                    left -= Size(tensor);
                    moved.Add(tensor, tensor.IsMapped ? stream.Keep(tensor) : tensor);
                    continue;
                }
                if (!tensor.IsMapped) throw new GlmException($"memory: {name}: expected a file that it can be read from, found it in memory alone; is there no room for a packed file?");
                moved.Add(tensor, stream.Attach(tensor));
                streamed += tensor.Bytes;
            }
            var byName = model.Parameters.ToDictionary(p => p.Name, p => moved.GetValueOrDefault(p.Tensor, p.Tensor));
            return new LimitedMemory(model.With(name => byName[name]), stream, streamed);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Bytes that a process takes beside the weights: the program, cached keys and values of so many tokens, activations of those that are computed together.</summary>
    /// <param name="config">The model.</param>
    /// <param name="cacheType">How keys and values will be stored.</param>
    /// <param name="context">Tokens that will be cached, of all sequences; what most uses need if null.</param>
    public static long WorkingBytes(ModelConfig config, DType cacheType, int? context = null)
    {
        var shape = config.Shape;
        int tokens = context ?? Math.Min(shape.MaxSequenceLength, ContextTokens);
        long together = shape.IsCausal ? Math.Min(tokens, PieceTokens) : tokens;
        // The residual stream and what a layer computes from it, the widest of it twice: as it is and as integers.
        long perToken = sizeof(float) * (8L * shape.Hidden + 2L * shape.Heads.Heads * shape.Heads.HeadSize + 5L * shape.Inner);
        return ProgramBytes + tokens * ModelSize.CacheBytesPerToken(config, cacheType) + together * perToken + sizeof(float) * 4L * shape.Vocabulary;
    }

    /// <summary>What an adapter beside the model takes.</summary>
    private static long AdapterBytes(LanguageModel model) =>
        (model.VirtualTokens?.Bytes ?? 0) + model.Parameters.Sum(p => p.Tensor.Addition is { } addition ? addition.Down.Bytes + addition.Up.Bytes : 0);

    /// <summary>Stops the reading.</summary>
    public void Dispose() => Stream?.Dispose();

    /// <summary>What products read; of an embedding that is not the output matrix, rows are looked up where it is mapped.</summary>
    private static HashSet<Tensor> Matrices(LanguageModel model) =>
        [.. model.Parameters.Select(p => p.Tensor).Where(t => t.Shape.Length == 2 && (t != model.WordEmbeddings || t == model.OutputMatrix))];

    private static long Size(Tensor tensor) => tensor.Bytes + (tensor.Scales?.Bytes ?? 0);
}
