namespace Glm.Tensors;

/// <summary>
/// C = alpha * A * B + beta * C (+ bias for every row), in binary32 whatever the matrices hold.
/// <para>
/// Blocks of k, a fixed function of K alone, are summed one after another: s = sum of a[i,k] * b[k,j] by fused multiply-add with
/// k ascending from zero, then c = fma(alpha, s, beta * c) for the first block and c = fma(alpha, s, c) for the others; at last
/// c + bias, and rounding to the type of C. This defines every bit of the result, whatever the instruction set, the number of
/// threads and the blocking of rows and columns.
/// </para>
/// <para>
/// <see cref="Arithmetic.BFloat16"/> rounds what is multiplied and is twice as fast; its sums depend on shapes alone too.
/// </para>
/// <para>
/// Products of few rows with rows of a weight go to <see cref="RowDots"/>, which sums in another order.
/// </para>
/// <para>
/// The blocking is that of Goto and van de Geijn (Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008): both
/// matrices are packed, which also converts their elements, and a register-blocked microkernel runs over the packed panels.
/// </para>
/// </summary>
internal static unsafe class MatMul
{
    /// <summary>
    /// <paramref name="a"/> [M, K] times <paramref name="b"/> [K, N] into <paramref name="c"/> [M, N], whose columns must be
    /// contiguous. A 16-bit <paramref name="c"/> needs <paramref name="beta"/> = 0, which never reads it.
    /// <paramref name="bias"/> [N] may be null.
    /// </summary>
    public static void Multiply(Workers workers, in Matrix a, in Matrix b, in Matrix c, float alpha, float beta, float* bias, InstructionSet isa, Arithmetic arithmetic = Arithmetic.Float32)
    {
        var product = new Product(a, b, c, alpha, beta, bias, isa, arithmetic);
        if (c.Rows == 0 || c.Columns == 0) return;
        if (RowDots.Fits(product))
        {
            RowDots.Multiply(workers, product);
            return;
        }
        Scratch shared = workers.Rent();
        try
        {
            for (int column = 0; column < c.Columns; column += Product.MaxColumns)
                for (int block = 0; block < product.DepthBlocks; block++)
                    MultiplyBlock(workers, product, shared, column, block);
        }
        finally
        {
            workers.Return(shared);
        }
    }

    /// <summary>The same on the calling thread alone, with its own scratch memory; for use inside parallel loops.</summary>
    public static void MultiplySingle(Scratch scratch, in Matrix a, in Matrix b, in Matrix c, float alpha, float beta, float* bias, InstructionSet isa, Arithmetic arithmetic = Arithmetic.Float32)
    {
        var product = new Product(a, b, c, alpha, beta, bias, isa, arithmetic);
        if (c.Rows == 0 || c.Columns == 0) return;
        if (RowDots.Fits(product))
        {
            RowDots.MultiplySingle(product, scratch);
            return;
        }
        for (int column = 0; column < c.Columns; column += Product.MaxColumns)
            for (int block = 0; block < product.DepthBlocks; block++)
            {
                Step step = product.StepAt(column, block, scratch);
                for (int panel = 0; panel < step.Panels; panel += product.PanelsAtOnce)
                    product.PackRight(step, panel, Math.Min(panel + product.PanelsAtOnce, step.Panels), scratch);
                for (int row = 0; row < c.Rows; row += Product.MaxRows)
                    product.MultiplyRows(step, row, Math.Min(Product.MaxRows, c.Rows - row), 0, step.Panels, scratch);
            }
    }

    private static void MultiplyBlock(Workers workers, in Product product, Scratch shared, int column, int block)
    {
        Step step = product.StepAt(column, block, shared);
        int panels = Math.Clamp(step.Panels / (4 * workers.Threads), 1, product.PanelsAtOnce);
        workers.For(DivideUp(step.Panels, panels), new PackBody(workers, product, step, panels));

        // Enough tiles that uneven threads can be evened out, as square as the cache allows.
        int rowParts = DivideUp(product.C.Rows, Product.MaxRows);
        int columnParts = Math.Min(DivideUp(step.Panels, 4), DivideUp(4 * workers.Threads, rowParts));
        int rows = DivideUp(DivideUp(product.C.Rows, rowParts), product.Shape.Rows) * product.Shape.Rows;
        rowParts = DivideUp(product.C.Rows, rows);
        workers.For(rowParts * columnParts, new TileBody(workers, product, step, rows, columnParts));
    }

    private static int DivideUp(int value, int divisor) => (value + divisor - 1) / divisor;

    private readonly struct PackBody(Workers workers, Product product, Step step, int panels) : ILoopBody
    {
        public void Invoke(int item, int worker)
        {
            Scratch scratch = workers.Rent();
            product.PackRight(step, item * panels, Math.Min((item + 1) * panels, step.Panels), scratch);
            workers.Return(scratch);
        }
    }

    private readonly struct TileBody(Workers workers, Product product, Step step, int rows, int columnParts) : ILoopBody
    {
        public void Invoke(int item, int worker)
        {
            int row = item / columnParts * rows, part = item % columnParts;
            int first = (int)((long)step.Panels * part / columnParts), last = (int)((long)step.Panels * (part + 1) / columnParts);
            Scratch scratch = workers.Rent();
            product.MultiplyRows(step, row, Math.Min(rows, product.C.Rows - row), first, last, scratch);
            workers.Return(scratch);
        }
    }
}
