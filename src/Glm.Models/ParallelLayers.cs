using Glm.Distributed;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The layers whose matrices tensor-parallel ranks share (Megatron's way): matrices are cut by output rows first and by input columns after, so that one sum over
/// ranks closes each sublayer, on the way forward and on the way back. In a group of one they are the plain operations.
/// </summary>
internal sealed class ParallelLayers(ProcessGroup group)
{
    /// <summary>x, which every rank has, where the ranks' ways part: its gradient is the sum of theirs.</summary>
    public Tensor Enter(Context context, Tensor x) => group.Size == 1 ? x : context.Through(x, null, Sum);

    /// <summary>y = sum over ranks of x W^T, plus b: the ranks' ways meet. Summed in float32 and rounded once, like the product of one process.</summary>
    public Tensor Leave(Context context, Tensor x, Tensor weight, Tensor bias) => group.Size == 1
        ? context.Linear(x, weight, bias)
        : context.AddBias(context.Through(context.Linear(x, weight, outputType: DType.Float32), Sum, null), bias);

    /// <summary>Rows of the embedding, of which this rank has some.</summary>
    public Tensor Embedding(Context context, Tensor part, Tensor ids, float gradientScale) => group.Size == 1
        ? context.Embedding(part, ids, gradientScale)
        : context.Through(context.EmbeddingPart(part, ids, gradientScale, part.Rows * group.Rank, part.Rows * group.Size), Sum, null);

    /// <summary>Cross entropy of logits <c>[rows, share of the vocabulary]</c>: ranks tell one another two numbers for each row.</summary>
    public (Tensor Loss, Tensor TokenLosses) CrossEntropy(Context context, Tensor logits, Tensor targets, Tensor weights) => context.CrossEntropy(
        logits, targets, weights, group.Size == 1 ? null : new VocabularyPart(logits.Columns * group.Rank, logits.Columns * group.Size, Join));

    /// <summary>The logits of all ranks side by side, for inference.</summary>
    public Tensor Gather(Context context, Tensor logits) => group.Size == 1 ? logits : GatherParts(context, logits);

    // What its lambda captures is allocated where a method begins, which a single process should not pay for.
    private Tensor GatherParts(Context context, Tensor logits)
    {
        Tensor[] parts = [.. Enumerable.Range(0, group.Size).Select(rank => rank == group.Rank ? logits : context.Arena.Allocate(logits.Type, logits.Shape))];
        group.AllGather(new TensorLine(parts));
        return context.JoinColumns(parts);
    }

    private void Sum(Tensor partial) => group.AllReduce(partial);

    /// <summary>log(sum over ranks of e^normaliser), and the target's logit from the rank that has it.</summary>
    private void Join(Tensor normalizers, Tensor targetLogits)
    {
        float[] values = normalizers.ToArray(), all = new float[values.Length * group.Size];
        var gathered = Enumerable.Range(0, group.Size).Select(rank => rank == group.Rank ? normalizers : Tensor.Allocate(DType.Float32, values.Length)).ToArray();
        group.AllGather(new TensorLine(gathered));
        for (int rank = 0; rank < group.Size; rank++) gathered[rank].CopyTo(all.AsSpan(rank * values.Length, values.Length));
        for (int row = 0; row < values.Length; row++)
        {
            double max = double.NegativeInfinity, sum = 0;
            for (int rank = 0; rank < group.Size; rank++) max = Math.Max(max, all[(rank * values.Length) + row]);
            for (int rank = 0; rank < group.Size; rank++) sum += Math.Exp(all[(rank * values.Length) + row] - max);
            values[row] = (float)(max + Math.Log(sum));
        }
        normalizers.CopyFrom(values);
        group.AllReduce(targetLogits);
    }
}
