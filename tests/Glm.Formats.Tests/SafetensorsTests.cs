using System.Buffers.Binary;
using System.Text;
using Glm.Tensors;

namespace Glm.Formats.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-formats").FullName;

    private string File1 => Path.Combine(_folder, "a.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_written_is_read_back(bool aligned)
    {
        var tensors = new List<(string, Tensor)>
        {
            ("bytes", Bytes(DType.Int8, 3, 5)), ("half", Bytes(DType.Float16, 3)), ("floats", Bytes(DType.Float32, 2, 3)), ("empty", Bytes(DType.Float32, 0, 4)),
            ("truth", Bytes(DType.Bool, 3)), ("scalar", Bytes(DType.Int64)), ("bf", Bytes(DType.BFloat16, 1, 1, 5)), ("i32", Bytes(DType.Int32, 2)), ("u8", Bytes(DType.UInt8, 7)),
        };
        SafetensorsWriter.Write(File1, tensors, new Dictionary<string, string> { ["who"] = "me \"and\" you" }, aligned);
        var file = SafetensorsFile.Open(File1);
        Assert.Equal("me \"and\" you", Assert.Single(file.Metadata).Value);
        Assert.Equal(tensors.Select(t => t.Item1).Order(), file.Names.Order());
        foreach (var (name, tensor) in tensors)
        {
            Assert.Equal(tensor.ToString(), file[name].ToString());
            Assert.Equal(Raw(tensor), Raw(file[name]));
        }
        if (aligned) Assert.Equal(0, DataStart(File1) % 4096);
        Assert.Equal(0, DataStart(File1) % 8);
        Assert.Equal([File1], Directory.GetFiles(_folder));
    }

    [Fact]
    public void Packed_4_bit_integers_are_stored_as_bytes()
    {
        SafetensorsWriter.Write(File1, [("w", Bytes(DType.Int4, 3, 6))]);
        Assert.Equal("Int8 [3, 3]", SafetensorsFile.Open(File1)["w"].ToString());
        Assert.Throws<GlmException>(() => SafetensorsWriter.Write(File1, [("w", Bytes(DType.Int4, 3, 5))]));
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file()
    {
        SafetensorsWriter.Write(File1, [("w", Bytes(DType.Int8, 3))]);
        byte[] old = File.ReadAllBytes(File1);
        var wrong = new TensorEntry("w", DType.Int8, [4], () => Bytes(DType.Int8, 5));
        Assert.Contains("w: expected Int8 [4], found Int8 [5]", Assert.Throws<GlmException>(() => SafetensorsWriter.Write(File1, [wrong])).Message);
        Assert.Throws<OperationCanceledException>(() => SafetensorsWriter.Write(File1, [("w", Bytes(DType.Int8, 9))], cancel: new CancellationToken(true)));
        Assert.Contains("w again", Assert.Throws<GlmException>(() => SafetensorsWriter.Write(File1, [("w", Bytes(DType.Int8, 1)), ("w", Bytes(DType.Int8, 1))])).Message);
        Assert.Equal(old, File.ReadAllBytes(File1));
        Assert.Equal([File1], Directory.GetFiles(_folder));
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", "a: expected 8 bytes for F32 [2], found 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", "a: expected two ascending data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}""", "within the 16 bytes of data, found [0, 20]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", "a: expected two")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}""", "a.data_offsets: expected non-negative integers, found -4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", "a.shape: expected integers")]
    [InlineData("""{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}""", "a.shape: expected integers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]}}""", "a.shape: expected fewer than 2^63 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", "b: expected data from offset 4 on, where a ends, found 2")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "not the expected JSON")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", "a.data_offsets: expected a JSON Array, found nothing")]
    [InlineData("""{"a":7}""", "a: expected an object")]
    [InlineData("""[]""", "not the expected JSON")]
    [InlineData("""{"a""", "not the expected JSON")]
    [InlineData("""{"__metadata__":{"a":1}}""", "not the expected JSON")]
    public void A_broken_header_is_refused(string header, string reason)
    {
        WriteRaw(header, 16);
        string message = Assert.Throws<GlmException>(() => SafetensorsFile.Open(File1)).Message;
        Assert.StartsWith(File1, message);
        Assert.Contains(reason, message);
    }

    [Fact]
    public void A_type_that_is_not_supported_is_an_error_when_it_is_asked_for()
    {
        WriteRaw("""{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}""", 16);
        var file = SafetensorsFile.Open(File1);
        Assert.Equal(8, file["b"].Count);
        Assert.Contains("a: expected one of the types", Assert.Throws<GlmException>(() => file["a"]).Message);
        Assert.Contains("named c", Assert.Throws<GlmException>(() => file["c"]).Message);
        Assert.False(file.Find("c", out _));
    }

    [Fact]
    public void A_length_beyond_the_file_is_refused_without_allocating()
    {
        foreach (ulong length in new ulong[] { 1UL << 63, ulong.MaxValue, 99_000_000, 200_000_000 })
        {
            byte[] bytes = new byte[64];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
            File.WriteAllBytes(File1, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Contains("expected a header of at most 56 bytes", Assert.Throws<GlmException>(() => SafetensorsFile.Open(File1)).Message);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }
        Assert.Throws<GlmException>(() => SafetensorsFile.Open(Path.Combine(_folder, "missing")));
        File.WriteAllBytes(File1, new byte[3]);
        Assert.Throws<GlmException>(() => SafetensorsFile.Open(File1));
    }

    private void WriteRaw(string header, int data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        File.WriteAllBytes(File1, [.. length, .. json, .. new byte[data]]);
    }

    private static long DataStart(string path) => 8 + BinaryPrimitives.ReadInt64LittleEndian(File.ReadAllBytes(path));

    private static Tensor Bytes(DType type, params int[] shape)
    {
        var tensor = Tensor.Allocate(type, shape);
        byte[] bytes = new byte[tensor.Bytes];
        new Random(7).NextBytes(bytes);
        tensor.CopyBytesFrom(bytes);
        return tensor;
    }

    private static byte[] Raw(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyBytesTo(bytes);
        return bytes;
    }
}
