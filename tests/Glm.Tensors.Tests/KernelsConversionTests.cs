using Glm.Tensors;

namespace Glm.Tests;

public sealed unsafe class KernelsConversionTests
{
    private static readonly uint[] Edges =
    [
        0, 1, 0x007FFFFF, 0x00800000, 0x33000000, 0x33000001, 0x32FFFFFF, 0x33800000, 0x387FC000, 0x387FE000, 0x387FFFFF, 0x38800000,
        0x3F800000, 0x3F801000, 0x3F803000, 0x3F808000, 0x3F818000, 0x477FE000, 0x477FEFFF, 0x477FF000, 0x47800000, 0x7F7FFFFF,
        0x7F7F8000, 0x7F7F7FFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF,
    ];

    [Fact]
    public void All16BitNumbersWidenExactlyAndComeBack()
    {
        using var memory = new KernelMemory();
        const int count = 65536;
        var all = (ushort*)memory.Bytes(count * 2, 2);
        var back = (ushort*)memory.Bytes(count * 2, 2);
        float* wide = memory.Floats(count);
        for (int i = 0; i < count; i++) all[i] = (ushort)i;
        foreach (InstructionSet isa in Isa.Available)
            foreach (DType type in new[] { DType.Float16, DType.BFloat16 })
            {
                Conversion.Widen(all, type, wide, count - 1, isa);
                Conversion.Narrow(wide, back, type, count - 1, isa);
                for (int i = 0; i < count - 1; i++)
                {
                    float expected = type == DType.Float16 ? (float)BitConverter.UInt16BitsToHalf((ushort)i) : BitConverter.UInt32BitsToSingle((uint)i << 16);
                    if (float.IsNaN(expected))
                    {
                        Assert.True(float.IsNaN(wide[i]), $"{isa} {type} {i:X4}");
                        int quiet = type == DType.Float16 ? 0x200 : 0x40;
                        Assert.Equal(i | quiet, back[i]); // sign and payload are kept
                        continue;
                    }
                    Assert.Equal(BitConverter.SingleToUInt32Bits(expected), BitConverter.SingleToUInt32Bits(wide[i]));
                    Assert.Equal(i, back[i]);
                }
            }
        memory.CheckGuards();
    }

    [Fact]
    public void NarrowingRoundsHalfToEvenLikeTheScalarTwin()
    {
        using var memory = new KernelMemory();
        var random = new Random(4);
        const int count = 200_003;
        float* wide = memory.Floats(count);
        for (int i = 0; i < count; i++)
        {
            uint bits = i < 2 * Edges.Length ? Edges[i / 2] | (uint)(i % 2) << 31 : (uint)random.NextInt64(1L << 32);
            if (i % 3 == 1) bits = bits & 0xFFFFE000 | 0x1000; // half way between two binary16
            if (i % 3 == 2 && i % 2 == 0) bits = bits & 0x87FFFFFF | 0x38000000; // around the subnormal numbers of binary16
            wide[i] = BitConverter.UInt32BitsToSingle(bits);
        }
        var narrow = (ushort*)memory.Bytes(count * 2, 2);
        foreach (InstructionSet isa in Isa.Available)
        {
            Conversion.Narrow(wide, narrow, DType.Float16, count, isa);
            for (int i = 0; i < count; i++)
                if (!float.IsNaN(wide[i])) Assert.Equal(BitConverter.HalfToUInt16Bits((Half)wide[i]), narrow[i]);
                else Assert.True(Half.IsNaN(BitConverter.UInt16BitsToHalf(narrow[i])));

            Conversion.Narrow(wide, narrow, DType.BFloat16, count, isa);
            for (int i = 0; i < count; i++) Assert.Equal(NearestBFloat16(wide[i]), narrow[i]);
        }
        memory.CheckGuards();
    }

    [Fact]
    public void EveryIntegerTimesScalesOfAllSizesIsRoundedToBinary16()
    {
        using var memory = new KernelMemory();
        var bytes = (byte*)memory.Bytes(256, 1);
        for (int i = 0; i < 256; i++) bytes[i] = (byte)i;
        float* values = memory.Floats(512);
        foreach (InstructionSet isa in Isa.Available)
            for (int bits = 0; bits < 0x10000; bits += isa == InstructionSet.Portable ? 37 : 11)
            {
                Half scale = BitConverter.UInt16BitsToHalf((ushort)bits);
                Elements.Decode(bytes, DType.Int8, (float)scale, 0, 256, values, isa);
                for (int i = 0; i < 256; i++) CheckSame((float)((Half)(sbyte)i * scale), values[i], isa, scale, i);
                Elements.Decode(bytes, DType.Int4, (float)scale, 0, 512, values, isa);
                for (int i = 0; i < 256; i++)
                {
                    CheckSame((float)((Half)((sbyte)i >> 4) * scale), values[2 * i], isa, scale, i);
                    CheckSame((float)((Half)((sbyte)(i << 4) >> 4) * scale), values[2 * i + 1], isa, scale, i);
                }
            }
    }

    private static void CheckSame(float expected, float found, InstructionSet isa, Half scale, int i)
    {
        if (expected != found && !(float.IsNaN(expected) && float.IsNaN(found)))
            Assert.Fail($"{isa}, scale {scale}, byte {i}: expected {expected}, found {found}");
    }

    /// <summary>The nearer of the two neighbours, the even one of two equally near ones.</summary>
    private static ushort NearestBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value), low = bits >> 16;
        if (float.IsNaN(value)) return (ushort)(low | 0x40);
        uint rest = bits & 0xFFFF;
        return (ushort)(rest > 0x8000 || rest == 0x8000 && low % 2 == 1 ? low + 1 : low);
    }
}
