using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Something that runs for every width of vectors and every type of elements.</summary>
internal interface IKernel
{
    void Run<V, L, D>() where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>;
}

/// <summary>The one place where a type and an instruction set become code.</summary>
internal static class Dispatch
{
    public static void Run<TKernel>(ref TKernel kernel, DType type, InstructionSet isa) where TKernel : struct, IKernel
    {
        switch (isa)
        {
            case InstructionSet.Avx512: Run<TKernel, Vector512<float>, Lanes512>(ref kernel, type); break;
            case InstructionSet.Avx2: Run<TKernel, Vector256<float>, Lanes256>(ref kernel, type); break;
            default: Run<TKernel, Vector128<float>, Lanes128>(ref kernel, type); break;
        }
    }

    private static void Run<TKernel, V, L>(ref TKernel kernel, DType type)
        where TKernel : struct, IKernel where V : struct where L : struct, ILanes<V>
    {
        switch (type)
        {
            case DType.Float32: kernel.Run<V, L, Float32Decoder<V, L>>(); break;
            case DType.BFloat16: kernel.Run<V, L, BFloat16Decoder<V, L>>(); break;
            case DType.Float16: kernel.Run<V, L, HalfDecoder<V, L>>(); break;
            case DType.Int8: kernel.Run<V, L, Int8Decoder<V, L>>(); break;
            case DType.Int4: kernel.Run<V, L, Int4Decoder<V, L>>(); break;
            default: throw new ArgumentException($"no kernel multiplies elements of type {type}");
        }
    }
}
