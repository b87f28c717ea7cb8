using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// What <see cref="PairPacking"/> does most, generated for AVX-512 BF16: rounding to bfloat16 (VCVTNE2PS2BF16, which takes subnormal numbers for zero as the kernel
/// does) and interleaving two rows.
/// </summary>
internal static unsafe class PairConversion
{
    private const int Lanes = 16;

    private static readonly Lazy<nint> Narrowing = new(() => GeneratedCode.Place(GenerateNarrowing()));

    private static readonly Lazy<nint>
        CutWide = Cutting(DType.Float32, 32), CutNarrow = Cutting(DType.Float32, 12), CutWidePairs = Cutting(DType.BFloat16, 32), CutNarrowPairs = Cutting(DType.BFloat16, 12);

    // The functions' arguments (System V).
    private static readonly AssemblerRegister64 First = rdi, Second = rsi, Panels = rdx, Target = rcx, PanelBytes = r8;

    /// <summary>
    /// Two successive k of whole panels, whose lanes are contiguous: from the rows, binary32 or bfloat16 (<paramref name="type"/>), to each of a number of panels of
    /// <paramref name="width"/> lanes, so many bytes apart.
    /// </summary>
    public static delegate* unmanaged[SuppressGCTransition]<void*, void*, nint, float*, nint, void> Cut(DType type, int width) =>
        (delegate* unmanaged[SuppressGCTransition]<void*, void*, nint, float*, nint, void>)((type, width) switch
        {
            (DType.Float32, 32) => CutWide,
            (DType.Float32, 12) => CutNarrow,
            (DType.BFloat16, 32) => CutWidePairs,
            (DType.BFloat16, 12) => CutNarrowPairs,
            _ => throw new ArgumentOutOfRangeException(nameof(width), $"{type}, {width} lanes"),
        }).Value;

    /// <summary>Rounds numbers that lie one after another.</summary>
    public static void Narrow(float* source, ushort* target, int count)
    {
        int whole = count - count % (2 * Lanes);
        ((delegate* unmanaged[SuppressGCTransition]<float*, ushort*, nint, void>)Narrowing.Value)(source, target, whole / (2 * Lanes));
        for (int i = whole; i < count; i++) target[i] = Conversion.ToBFloat16(source[i]);
    }

    private static Lazy<nint> Cutting(DType type, int width) => new(() => GeneratedCode.Place(GenerateCut(type, width)));

    private static Assembler GenerateNarrowing()
    {
        var a = new Assembler(64);
        AssemblerRegister64 source = rdi, target = rsi, count = rdx;
        Label loop = a.CreateLabel(), end = a.CreateLabel();
        a.test(count, count);
        a.jz(end);
        a.Label(ref loop);
        a.vmovups(zmm0, __zmmword_ptr[source]);
        a.vmovups(zmm1, __zmmword_ptr[source + 64]);
        a.vcvtne2ps2bf16(zmm0, zmm1, zmm0);
        a.vmovdqu16(__zmmword_ptr[target], zmm0);
        a.add(source, 128);
        a.add(target, 64);
        a.dec(count);
        a.jnz(loop);
        a.Label(ref end);
        a.vzeroupper();
        a.ret();
        return a;
    }

    private static Assembler GenerateCut(DType type, int width)
    {
        var a = new Assembler(64);
        Label loop = a.CreateLabel(), end = a.CreateLabel(), order = a.CreateLabel();
        int bytes = type == DType.Float32 ? sizeof(float) : sizeof(ushort);
        a.test(Panels, Panels);
        a.jz(end);
        a.vmovdqu16(zmm31, __zmmword_ptr[order]);
        a.mov(eax, (1 << Math.Min(width, Lanes)) - 1);
        a.kmovd(k1, eax);
        a.Label(ref loop);
        for (int lane = 0; lane < width; lane += Lanes)
        {
            if (type == DType.Float32)
            {
                a.vmovups(zmm0.k1.z, __zmmword_ptr[First + lane * bytes]);
                a.vmovups(zmm1.k1.z, __zmmword_ptr[Second + lane * bytes]);
                a.vcvtne2ps2bf16(zmm0, zmm1, zmm0);
            }
            else
            {
                a.vmovdqu16(ymm0.k1.z, __ymmword_ptr[First + lane * bytes]);
                a.vmovdqu16(ymm1.k1.z, __ymmword_ptr[Second + lane * bytes]);
                a.vinserti64x4(zmm0, zmm0, ymm1, 1);
            }
            a.vpermw(zmm0, zmm31, zmm0);
            a.vmovdqu32(__zmmword_ptr[Target + lane * sizeof(float)].k1, zmm0);
        }
        a.add(First, width * bytes);
        a.add(Second, width * bytes);
        a.add(Target, PanelBytes);
        a.dec(Panels);
        a.jnz(loop);
        a.Label(ref end);
        a.vzeroupper();
        a.ret();
        // Number i of the first row, then number i of the second.
        a.Label(ref order);
        for (int word = 0; word < 2 * Lanes; word++) a.dw((ushort)(word / 2 + word % 2 * Lanes));
        return a;
    }
}
