using Glm.Tensors;

namespace Glm.Tests;

/// <summary>The innermost loop of attention against its scalar twin, bit for bit, on every instruction set.</summary>
public sealed unsafe class KernelsAttentionTests
{
    [Fact]
    public void Tiles_equal_their_scalar_twin()
    {
        var random = new Random(3);
        using var memory = new KernelMemory();
        foreach (int depth in new[] { 0, 1, 2, 7, 64, 131 })
            foreach (bool begins in new[] { true, false })
            {
                int stride = AttentionTile.Rows + random.Next(5);
                float* a = memory.RandomFloats((depth + 1) * stride, random), b = memory.RandomFloats((depth + 1) * AttentionTile.Lanes, random);
                float* factors = memory.RandomFloats(AttentionTile.Lanes, random), sums = memory.RandomFloats(AttentionTile.Rows * AttentionTile.Lanes, random);
                var expected = new float[AttentionTile.Rows * AttentionTile.Lanes];
                for (int i = 0; i < AttentionTile.Rows; i++)
                    for (int lane = 0; lane < AttentionTile.Lanes; lane++)
                    {
                        int at = i * AttentionTile.Lanes + lane;
                        expected[at] = begins ? 0 : factors[lane] * sums[at];
                        for (int k = 0; k < depth; k++) expected[at] = MathF.FusedMultiplyAdd(a[k * stride + i], b[k * AttentionTile.Lanes + lane], expected[at]);
                    }
                foreach (InstructionSet isa in Isa.Available)
                {
                    float* found = (float*)memory.Bytes(expected.Length * sizeof(float), 64);
                    new Span<float>(sums, expected.Length).CopyTo(new Span<float>(found, expected.Length));
                    AttentionTile.Run(depth, a, stride, b, begins ? null : factors, found, isa);
                    Assert.Equal(expected, new Span<float>(found, expected.Length).ToArray());
                }
            }
        memory.CheckGuards();
    }
}
