namespace Glm.Tensors;
internal static unsafe class Convert
{
    public static void BFloat16ToFloat(ushort* s, float* d, long n) { for (long i = 0; i < n; i++) d[i] = BitConverter.UInt32BitsToSingle((uint)s[i] << 16); }
    public static void HalfToFloat(Half* s, float* d, long n) { for (long i = 0; i < n; i++) d[i] = (float)s[i]; }
    public static void FloatToBFloat16(float* s, ushort* d, long n) { for (long i = 0; i < n; i++) { uint b = BitConverter.SingleToUInt32Bits(s[i]); d[i] = (ushort)((b + 0x7FFF + ((b >> 16) & 1)) >> 16); } }
    public static void FloatToHalf(float* s, Half* d, long n) { for (long i = 0; i < n; i++) d[i] = (Half)s[i]; }
}
